using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Mesh.Testing;

/// <summary>The part of a Kubernetes API server that reviews tokens, over real HTTP; what it says of each token is given by the test.</summary>
internal sealed class FakeTokenReview : IAsyncDisposable
{
    private readonly WebApplication _app;

    private FakeTokenReview(WebApplication app) => _app = app;

    public string Url => _app.Urls.First();

    /// <summary>The <c>status</c> of the answer, by token; others are not authenticated.</summary>
    public Dictionary<string, string> Tokens { get; } = [];

    /// <summary>The bearer token that the caller must show; null: none.</summary>
    public string? Bearer { get; set; }

    /// <summary>Answers this in place of a review.</summary>
    public (int Status, string Body)? Instead { get; set; }

    /// <summary>The audiences of each review asked for.</summary>
    public List<string> AskedAudiences { get; } = [];

    public static async Task<FakeTokenReview> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        var fake = new FakeTokenReview(app);
        app.MapPost("/apis/authentication.k8s.io/v1/tokenreviews", fake.AnswerAsync);
        await app.StartAsync();
        return fake;
    }

    /// <summary>A status as Kubernetes writes it for a projected token of a pod.</summary>
    public static string Pod(string user, string audience, string pod = "cart-7d9f", string uid = "5e6e") => $$"""
        {"authenticated":true,"audiences":["{{audience}}"],
         "user":{"username":"{{user}}","uid":"1","groups":["system:serviceaccounts","system:authenticated"],
                 "extra":{"authentication.kubernetes.io/pod-name":["{{pod}}"],"authentication.kubernetes.io/pod-uid":["{{uid}}"] } } }
        """;

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task AnswerAsync(HttpContext context)
    {
        var review = (await JsonNode.ParseAsync(context.Request.Body))!;
        AskedAudiences.AddRange(review["spec"]!["audiences"]!.AsArray().Select(a => (string)a!));
        if (Instead is { } instead)
        {
            context.Response.StatusCode = instead.Status;
            await context.Response.WriteAsync(instead.Body);
            return;
        }

        if (Bearer is not null && context.Request.Headers.Authorization != $"Bearer {Bearer}")
        {
            context.Response.StatusCode = 401;
            return;
        }

        context.Response.StatusCode = 201;
        context.Response.ContentType = "application/json";
        review["status"] = JsonNode.Parse(Tokens.GetValueOrDefault((string)review["spec"]!["token"]!, """{"user":{},"error":"token lookup failed"}"""));
        await context.Response.WriteAsync(review.ToJsonString());
    }
}
