using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Mesh.Cli.Tests;

/// <summary>Speaks the control plane's HTTP API with answers given by the test; keeps what was asked.</summary>
internal sealed class FakeControlPlane : IAsyncDisposable
{
    public const string Token = "t0k3n";
    private readonly WebApplication _app;

    private FakeControlPlane(WebApplication app) => _app = app;

    public string Url => _app.Urls.First();

    /// <summary>Method, path and query of each request, with its body.</summary>
    public List<string> Asked { get; } = [];

    /// <summary>Answers by path; others are 404.</summary>
    public Dictionary<string, (int Status, string Body)> Answers { get; } = [];

    /// <summary>Of good answers.</summary>
    public string MediaType { get; set; } = "application/json";

    /// <summary>Answers do not end until the caller goes away.</summary>
    public bool StaysOpen { get; set; }

    /// <summary>An answer was sent.</summary>
    public bool Sent { get; private set; }

    public static async Task<FakeControlPlane> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        var fake = new FakeControlPlane(app);
        app.Run(fake.AnswerAsync);
        await app.StartAsync(TestContext.Current.CancellationToken);
        return fake;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task AnswerAsync(HttpContext context)
    {
        using var body = new StreamReader(context.Request.Body);
        Asked.Add($"{context.Request.Method} {context.Request.Path}{context.Request.QueryString} {await body.ReadToEndAsync()}".Trim());
        var (status, text) = context.Request.Headers.Authorization != $"Bearer {Token}"
            ? (401, """{"title":"Unauthorized","detail":"the token is not known"}""")
            : Answers.GetValueOrDefault(context.Request.Path, (404, ""));
        context.Response.StatusCode = status;
        context.Response.ContentType = status == 200 ? MediaType : "application/json";
        await context.Response.WriteAsync(text);
        await context.Response.Body.FlushAsync();
        Sent = true;
        if (StaysOpen)
        {
            var gone = new TaskCompletionSource();
            using var registration = context.RequestAborted.Register(() => gone.TrySetResult());
            await gone.Task;
        }
    }
}
