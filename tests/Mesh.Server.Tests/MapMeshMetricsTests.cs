using System.Net;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Xunit;

namespace Mesh.Server.Tests;

/// <summary>What was served, by route, and how an in-process service shows it.</summary>
public sealed class MapMeshMetricsTests : IDisposable
{
    private readonly TestCa _ca = new("cluster.local");
    private readonly HttpClient _client = new(new SocketsHttpHandler { UseProxy = false });

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _client.Dispose();
        _ca.Dispose();
    }

    [Fact]
    public async Task Metrics_ShowWhatWasServedByRoute()
    {
        await using var app = await StartAsync();
        foreach (var path in new[] { "items/1", "items/2", "missing", "boom" })
        {
            using var response = await _client.GetAsync(At(app, path), Cancel);
        }

        var answer = await _client.GetAsync(At(app, "metrics"), Cancel);

        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", answer.Content.Headers.ContentType?.ToString());
        var text = await answer.Content.ReadAsStringAsync(Cancel);
        Assert.Contains("target_info{service_name=\"cart\",service_namespace=\"shop\"", text, StringComparison.Ordinal);
        Assert.Equal(2, Served(text, "/items/{id}", MeshTags.Success));
        Assert.Equal(1, Served(text, "/boom", MeshTags.Failure));
        Assert.Equal(1, Served(text, "", MeshTags.Success));
        Assert.Contains("mesh_identity_certificate_expiration_seconds ", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Metrics_AskedForOpenMetrics_HaveStartsAndAnEnd()
    {
        await using var app = await StartAsync();
        await _client.GetStringAsync(At(app, "items/1"), Cancel);
        using var request = new HttpRequestMessage(HttpMethod.Get, At(app, "metrics"));
        request.Headers.Accept.ParseAdd("application/openmetrics-text;version=1.0.0");

        using var answer = await _client.SendAsync(request, Cancel);

        Assert.Equal("application/openmetrics-text; version=1.0.0; charset=utf-8", answer.Content.Headers.ContentType?.ToString());
        var text = await answer.Content.ReadAsStringAsync(Cancel);
        Assert.EndsWith("\n# EOF\n", text, StringComparison.Ordinal);
        Assert.Contains("mesh_server_call_duration_seconds_created{", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Head_HasNoBodyAndOtherMethodsAreRefused()
    {
        await using var app = await StartAsync();
        using var head = await _client.SendAsync(new HttpRequestMessage(HttpMethod.Head, At(app, "metrics")), Cancel);
        Assert.Equal((HttpStatusCode.OK, 0), (head.StatusCode, (await head.Content.ReadAsByteArrayAsync(Cancel)).Length));
        using var post = await _client.PostAsync(At(app, "metrics"), null, Cancel);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, post.StatusCode);
    }

    [Fact]
    public async Task WithoutUseMesh_IsSaidAtStart()
    {
        await using var app = WebApplication.CreateSlimBuilder().Build();
        Assert.Contains("UseMesh()", Assert.Throws<InvalidOperationException>(() => app.MapMeshMetrics()).Message, StringComparison.Ordinal);
    }

    private async Task<MeshApp> StartAsync()
    {
        var app = await MeshApp.StartAsync(_ca, routes: routes =>
        {
            routes.MapGet("/items/{id}", (string id) => id);
            routes.MapMeshMetrics();
        });
        app.Config.Set(MeshApp.Inbound($"127.0.0.1:{app.Port}"));
        return app;
    }

    private static Uri At(MeshApp app, string path) => new($"http://127.0.0.1:{app.Port}/{path}");

    private static long Served(string text, string route, string outcome) => text.Split('\n')
        .Where(l => l.StartsWith("mesh_server_call_duration_seconds_count{", StringComparison.Ordinal)
            && l.Contains($"mesh_route=\"{route}\"", StringComparison.Ordinal) && l.Contains($"mesh_outcome=\"{outcome}\"", StringComparison.Ordinal))
        .Sum(l => long.Parse(l[(l.LastIndexOf(' ') + 1)..], System.Globalization.CultureInfo.InvariantCulture));
}
