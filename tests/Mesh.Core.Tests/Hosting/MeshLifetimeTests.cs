using Mesh.Config;
using Mesh.Hosting;
using Mesh.Identity;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Core.Tests.Hosting;

public sealed class MeshLifetimeTests : IDisposable
{
    private readonly TestCa _ca = new("cluster.local");
    private readonly string _bundle = Path.GetTempFileName();
    private readonly FakeLogCollector _logs = new();

    public MeshLifetimeTests() => File.WriteAllText(_bundle, _ca.RootPem);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        File.Delete(_bundle);
        _ca.Dispose();
    }

    [Fact]
    public async Task Host_WithControlPlane_GetsItsIdentityAndFlushesAtStop()
    {
        await using var authority = await FakeAuthority.StartAsync(_ca);
        using var host = Host(authority.Address.ToString());
        await host.StartAsync(Token);

        var identity = await host.Services.GetRequiredService<IWorkloadIdentitySource>().GetAsync(Token);
        Assert.Equal("spiffe://cluster.local/ns/shop/sa/cart", identity.Svid.Id.ToString());
        host.Services.GetRequiredService<MetricAggregate>().Get("m").Durations.Record(TimeSpan.FromSeconds(1));
        await host.StopAsync(Token);

        Assert.Single(authority.Exports);

        // The authority serves no ADS: whether that is told before the stop is a matter of time.
        Assert.DoesNotContain(_logs.GetSnapshot(), l => l.Level >= LogLevel.Warning && !l.Message.Contains("ADS stream", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Host_ControlPlaneAway_StartsAtOnceAndStopsInTime()
    {
        using var host = Host("https://127.0.0.1:1");
        var started = TimeProvider.System.GetTimestamp();
        await host.StartAsync(Token);
        Assert.True(TimeProvider.System.GetElapsedTime(started) < TimeSpan.FromSeconds(5));
        await Eventually.Async(() => host.Services.GetRequiredService<IWorkloadIdentitySource>().Problem is not null, "the failure is known");
        host.Services.GetRequiredService<MetricAggregate>().Get("m").Durations.Record(TimeSpan.FromSeconds(1));

        started = TimeProvider.System.GetTimestamp();
        await host.StopAsync(Token);

        Assert.True(TimeProvider.System.GetElapsedTime(started) < TimeSpan.FromSeconds(5));
        Assert.Contains(_logs.GetSnapshot(), l => l.Id.Id == 3001 && l.Message.Contains("https://127.0.0.1:1", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Host_ControlPlaneComesLater_IdentityArrives()
    {
        int port;
        await using (var first = await FakeAuthority.StartAsync(_ca))
        {
            port = first.Address.Port;
        }

        using var host = Host($"https://127.0.0.1:{port}");
        await host.StartAsync(Token);
        var source = host.Services.GetRequiredService<IWorkloadIdentitySource>();
        await Eventually.Async(() => source.Problem is not null, "the failure is known");
        await using var authority = await FakeAuthority.StartAsync(_ca, port: port);

        await source.GetAsync(Token).AsTask().WaitAsync(TimeSpan.FromSeconds(15), Token);
        await host.StopAsync(Token);
    }

    [Fact]
    public async Task Host_Off_AsksNothingAndSaysHowToTurnItOn()
    {
        using var host = Host(null);
        await host.StartAsync(Token);

        Assert.Null(host.Services.GetRequiredService<IWorkloadIdentitySource>().Current);
        Assert.IsType<InMemoryConfigSource>(host.Services.GetRequiredService<IConfigSource>());
        await host.StopAsync(Token);
        Assert.Contains("Mesh:TrustBundle", Assert.Single(_logs.GetSnapshot(), l => l.Id.Id == 3100).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Host_ThatSendsNothing_LetsIdleSeriesGoAllTheSame()
    {
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        using var host = Host(null, services =>
        {
            services.AddSingleton<TimeProvider>(time);
            services.AddSingleton(new MeshActivation(true));
            services.AddSingleton<IConfigSource>(new InMemoryConfigSource());
            services.AddSingleton<IWorkloadIdentitySource>(new FixedIdentitySource(_ca.Identity("shop", "cart")));
        });
        await host.StartAsync(Token);
        var aggregate = host.Services.GetRequiredService<MetricAggregate>();
        aggregate.Get("m").Record(TimeSpan.FromSeconds(1));

        var began = time.GetUtcNow();
        await Eventually.Async(
            () =>
            {
                if (aggregate.Count > 0)
                {
                    time.Advance(TimeSpan.FromMinutes(1));
                }

                return aggregate.Count == 0;
            },
            "it is gone");

        Assert.True(time.GetUtcNow() - began >= MetricAggregate.IdleTimeout);
        await host.StopAsync(Token);
    }

    private IHost Host(string? controlPlane, Action<IServiceCollection>? configure = null)
    {
        var builder = Microsoft.Extensions.Hosting.Host.CreateEmptyApplicationBuilder(null);
        builder.Logging.AddProvider(new FakeLoggerProvider(_logs)).SetMinimumLevel(LogLevel.Information);
        if (controlPlane is not null)
        {
            builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
            {
                ["Mesh:ControlPlane"] = controlPlane,
                ["Mesh:TrustBundle"] = _bundle,
                ["Mesh:Token"] = "good-token",
                ["Mesh:Namespace"] = "shop",
                ["Mesh:ServiceAccount"] = "cart",
            });
        }

        configure?.Invoke(builder.Services);
        builder.Services.AddMeshCore();
        return builder.Build();
    }
}
