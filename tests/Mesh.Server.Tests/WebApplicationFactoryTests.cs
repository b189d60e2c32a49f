using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Mesh.Server.Tests;

/// <summary>What a user's own tests do with a program that says AddMesh() and UseMesh(): nothing is configured, so nothing may change.</summary>
public sealed class WebApplicationFactoryTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Program_WithAddMeshAndUseMesh_IsServedInMemory()
    {
        await using var factory = new Factory();
        using var client = factory.CreateClient();

        Assert.Equal("nobody", await client.GetStringAsync("/who", Token));
    }

    [Fact]
    public async Task Program_WhoseClientIsMockedByTheTest_ReachesTheMock()
    {
        await using var factory = new Factory();
        await using var mocked = factory.WithWebHostBuilder(web => web.ConfigureServices(services =>
            services.AddHttpClient("catalog").ConfigurePrimaryHttpMessageHandler(() => new Mock())));
        using var client = mocked.CreateClient();

        Assert.Equal("mock of http://catalog/items", await client.GetStringAsync("/items", Token));
    }

    [Fact]
    public async Task Program_OnKestrelByTheFactory_IsServedOnItsPort()
    {
        await using var factory = new Factory();
        factory.UseKestrel(0);
        factory.StartServer();
        using var client = new HttpClient { BaseAddress = factory.ClientOptions.BaseAddress };

        Assert.Equal("nobody", await client.GetStringAsync("/who", Token));
    }

    private static void Map(IApplicationBuilder app) => app.UseRouting().UseEndpoints(endpoints =>
    {
        endpoints.MapGet("/who", (HttpContext c) => c.Features.Get<MeshPeerFeature>()?.Id.ToString() ?? "nobody");
        endpoints.MapGet("/items", (IHttpClientFactory clients) => clients.CreateClient("catalog").GetStringAsync("items"));
    });

    /// <summary>The program's entry point is that of the test runner, so its host is handed over here.</summary>
    private sealed class Factory : WebApplicationFactory<WebApplicationFactoryTests>
    {
        protected override IHostBuilder CreateHostBuilder() => Host.CreateDefaultBuilder().ConfigureLogging(logging => logging.ClearProviders()).ConfigureWebHostDefaults(web => web
            .ConfigureServices(services =>
            {
                services.AddMesh();
                services.AddHttpClient("catalog", c => c.BaseAddress = new Uri("http://catalog"));
            })
            .UseMesh()
            .Configure(Map));

        protected override void ConfigureWebHost(IWebHostBuilder builder) => builder.UseContentRoot(AppContext.BaseDirectory);
    }

    private sealed class Mock : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            Task.FromResult(new HttpResponseMessage { Content = new StringContent($"mock of {request.RequestUri}"), RequestMessage = request });
    }
}
