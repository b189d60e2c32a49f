using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using WireMock.RequestBuilders;
using WireMock.ResponseBuilders;
using WireMock.Server;
using Xunit;

namespace Mesh.EndToEnd.Tests;

/// <summary>A plain HTTP service that is neither meshed nor ours.</summary>
public sealed class OutsideTheMeshTests
{
    [Fact]
    public async Task HostThatIsNoService_CalledFromAMeshedClient_IsReachedUntouched()
    {
        using var outside = WireMockServer.Start();
        outside.Given(Request.Create().WithPath("/rates").UsingGet()).RespondWith(Response.Create().WithStatusCode(200).WithHeader("x-from", "outside").WithBody("1.17"));
        outside.Given(Request.Create().WithPath("/broken").UsingGet()).RespondWith(Response.Create().WithStatusCode(503).WithBody("down"));
        var port = RunningMesh.FreePort();
        await using var mesh = await RunningMesh.StartAsync(("front.yaml", RunningMesh.ServiceYaml("front", 80, port)));
        var app = await mesh.StartServiceAsync("front", port, a => a.MapGet("/", () => "front"), b => b.Services.AddHttpClient("rates"));
        await mesh.WaitUntilMeshedAsync("front");
        var client = app.Services.GetRequiredService<IHttpClientFactory>().CreateClient("rates");

        using var good = await client.GetAsync(new Uri(outside.Url + "/rates"), TestContext.Current.CancellationToken);
        using var bad = await client.GetAsync(new Uri(outside.Url + "/broken"), TestContext.Current.CancellationToken);

        Assert.Equal("1.17", await good.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        Assert.Equal(StatusCodes.Status503ServiceUnavailable, (int)bad.StatusCode);
        Assert.Equal(2, outside.LogEntries.Count);
        Assert.All(outside.LogEntries, entry => Assert.DoesNotContain(
            entry.RequestMessage!.Headers!.Keys, name => name.StartsWith("x-envoy", StringComparison.OrdinalIgnoreCase) || name.StartsWith("mesh", StringComparison.OrdinalIgnoreCase)));
        Assert.DoesNotContain(await mesh.GetAsync("/api/v1/pairs"), pair => pair.GetProperty("destination").GetString()!.Contains("127", StringComparison.Ordinal));
    }

    [Fact]
    public async Task SameProgram_WithNothingConfigured_RunsUnmeshed()
    {
        using var outside = WireMockServer.Start();
        outside.Given(Request.Create().UsingGet()).RespondWith(Response.Create().WithBody("plain"));
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.WebHost.UseMesh();
        builder.Services.AddMesh().AddHttpClient("any");
        await using var app = builder.Build();
        app.MapGet("/", (HttpContext context) => $"{context.User.Identity?.IsAuthenticated} {context.Request.Scheme}");
        await app.StartAsync(TestContext.Current.CancellationToken);
        var client = app.Services.GetRequiredService<IHttpClientFactory>().CreateClient("any");

        Assert.Equal("False http", await client.GetStringAsync(new Uri(app.Urls.Single()), TestContext.Current.CancellationToken));
        Assert.Equal("plain", await client.GetStringAsync(new Uri(outside.Url!), TestContext.Current.CancellationToken));
        await app.StopAsync(TestContext.Current.CancellationToken);
    }
}
