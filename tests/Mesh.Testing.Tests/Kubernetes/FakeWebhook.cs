using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Mesh.Testing.Kubernetes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Mesh.Testing.Tests.Kubernetes;

/// <summary>A webhook over HTTPS that answers as its test says, and remembers what it was asked.</summary>
internal sealed class FakeWebhook : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly TestCa _ca = new("hooks.example");

    private FakeWebhook(string dnsName)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.UseHttps(_ca.Server(dnsName))));
        _app = builder.Build();
        _app.MapPost("/{**path}", AnswerAsync);
    }

    /// <summary>What is said of each review; without it everything is allowed.</summary>
    public Func<JsonObject, JsonObject>? Respond { get; set; }

    public List<JsonObject> Asked { get; } = [];

    public int Port => new Uri(_app.Urls.First()).Port;

    public string CaBundle => Convert.ToBase64String(Encoding.UTF8.GetBytes(_ca.RootPem));

    public static async Task<FakeWebhook> StartAsync(string dnsName = "hook.mesh-system.svc")
    {
        var hook = new FakeWebhook(dnsName);
        await hook._app.StartAsync();
        return hook;
    }

    public static JsonObject Patch(params JsonObject[] operations) => new()
    {
        ["allowed"] = true,
        ["patchType"] = "JSONPatch",
        ["patch"] = Convert.ToBase64String(new JsonArray([.. operations]).ToBytes()),
    };

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        _ca.Dispose();
    }

    private async Task AnswerAsync(HttpContext http)
    {
        var review = (await JsonNode.ParseAsync(http.Request.Body))!.AsObject();
        var request = review.Map("request");
        Asked.Add(request);
        var response = Respond?.Invoke(request) ?? new JsonObject { ["allowed"] = true };
        response["uid"] = request.Text("uid");
        http.Response.ContentType = "application/json";
        await http.Response.WriteAsync(new JsonObject { ["kind"] = "AdmissionReview", ["apiVersion"] = "admission.k8s.io/v1", ["response"] = response }.ToJsonString());
    }
}
