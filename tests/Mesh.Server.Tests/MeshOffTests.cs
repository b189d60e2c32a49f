using Mesh.Hosting;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Xunit;

namespace Mesh.Server.Tests;

public sealed class MeshOffTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task UseMesh_NothingConfigured_ServesAsBeforeAndSaysSoOnce()
    {
        var logs = new FakeLoggerProvider();
        await using var app = Build(b => b.Logging.AddProvider(logs));
        await app.StartAsync(Token);
        using var client = new HttpClient();

        Assert.Equal("nobody", await client.GetStringAsync(app.Urls.Single(), Token));
        var off = Assert.Single(logs.Collector.GetSnapshot(), l => l.Id.Id == 3100);
        Assert.Equal(LogLevel.Information, off.Level);
        Assert.Contains("Mesh:ControlPlane", off.Message, StringComparison.Ordinal);
        await app.StopAsync(Token);
    }

    [Fact]
    public async Task UseMesh_TestServerInstead_WorksOffAndOn()
    {
        foreach (var on in new[] { false, true })
        {
            using var ca = new TestCa("cluster.local");
            await using var app = Build(b =>
            {
                b.WebHost.UseTestServer();
                if (on)
                {
                    b.Services.AddSingleton(new MeshActivation(true));
                    b.Services.AddSingleton<Mesh.Config.IConfigSource>(new Mesh.Config.InMemoryConfigSource());
                    b.Services.AddSingleton<Mesh.Identity.IWorkloadIdentitySource>(new Mesh.Identity.FixedIdentitySource(ca.Identity("shop", "cart")));
                }
            });
            await app.StartAsync(Token);

            Assert.Equal("nobody", await app.GetTestClient().GetStringAsync("/", Token));
            await app.StopAsync(Token);
        }
    }

    [Fact]
    public async Task UseMesh_HalfAConfiguration_FailsAtStartWithAllOfIt()
    {
        await using var app = Build(b => b.Configuration["Mesh:ControlPlane"] = "ftp://nowhere");

        var e = await Assert.ThrowsAsync<MeshConfigurationException>(() => app.StartAsync(Token));

        Assert.Equal(3, e.Problems.Count);
        Assert.Contains(e.Problems, p => p.Contains("ftp://nowhere", StringComparison.Ordinal));
        Assert.Contains(e.Problems, p => p.Contains("Mesh:TrustBundle", StringComparison.Ordinal));
        Assert.Contains(e.Problems, p => p.Contains("Mesh:Token", StringComparison.Ordinal));
    }

    [Fact]
    public async Task UseMesh_BeforeUseKestrel_SaysWhatToDo()
    {
        using var ca = new TestCa("cluster.local");
        await using var app = Build(b =>
        {
            b.Services.AddSingleton(new MeshActivation(true));
            b.Services.AddSingleton<Mesh.Config.IConfigSource>(new Mesh.Config.InMemoryConfigSource());
            b.Services.AddSingleton<Mesh.Identity.IWorkloadIdentitySource>(new Mesh.Identity.FixedIdentitySource(ca.Identity("shop", "cart")));
            b.WebHost.UseMesh().UseKestrel();
        });

        var e = await Assert.ThrowsAsync<MeshConfigurationException>(() => app.StartAsync(Token));

        Assert.Contains("UseKestrel()", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task UseMesh_CalledTwice_ChangesNothing()
    {
        await using var app = Build(b => b.WebHost.UseMesh().UseMesh());
        await app.StartAsync(Token);

        Assert.Single(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses);
        await app.StopAsync(Token);
    }

    private static WebApplication Build(Action<WebApplicationBuilder> configure)
    {
        var builder = WebApplication.CreateBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0").UseMesh();
        configure(builder);
        var app = builder.Build();
        app.MapGet("/", (HttpContext c) => c.Features.Get<MeshPeerFeature>()?.Id.ToString() ?? "nobody");
        return app;
    }
}
