using System.Net;
using Mesh.Config;
using Mesh.Hosting;
using Mesh.Identity;
using Mesh.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Xunit;

namespace Mesh.Client.Tests.Coexistence;

/// <summary>Options in code and configuration: what they do to real calls, and what they refuse.</summary>
public sealed class ClientLimitsTests : IAsyncLifetime
{
    private readonly TestCa _ca = new("cluster.local");
    private Backend _backend = null!;
    private MeshedProgram? _started;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private MeshedProgram Program => _started!;

    public async ValueTask InitializeAsync() =>
        _backend = await Backend.StartAsync(new FixedIdentitySource(_ca.Identity("shop", "catalog")), context =>
        {
            context.Response.StatusCode = 503;
            return context.Response.WriteAsync("failing");
        });

    public async ValueTask DisposeAsync()
    {
        if (_started is not null)
        {
            await _started.DisposeAsync();
        }

        await _backend.DisposeAsync();
        _ca.Dispose();
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 2)]
    [InlineData(9, 3)]
    public async Task Get_MaxRetriesInCode_NarrowsAndNeverWidens(int retries, int attempts)
    {
        Start(services => services.AddHttpClient("shop").ConfigureMesh(o => o.MaxRetries = retries));

        Assert.Equal(attempts, await AttemptsAsync("shop"));
    }

    [Theory]
    [InlineData("Mesh:Clients:shop:MaxRetries", 2)]
    [InlineData("Mesh:Services:catalog:MaxRetries", 2)]
    [InlineData("Mesh:Services:catalog.shop:MaxRetries", 2)]
    [InlineData("Mesh:Services:catalog.shop.svc.cluster.local:MaxRetries", 2)]
    [InlineData("Mesh:Services:catalog.other:MaxRetries", 3)]
    [InlineData("Mesh:Clients:other:MaxRetries", 3)]
    public async Task Get_MaxRetriesInConfiguration_HoldsForThatClientOrService(string key, int attempts)
    {
        Start(services => services.AddHttpClient("shop"), (key, "1"), ("Mesh:Namespace", "shop"));

        Assert.Equal(attempts, await AttemptsAsync("shop"));
    }

    [Fact]
    public async Task Get_CodeAndConfiguration_TheNarrowestCounts()
    {
        Start(
            services => services.AddHttpClient("shop").ConfigureMesh(o => o.MaxRetries = 2),
            ("Mesh:Clients:shop:MaxRetries", "1"), ("Mesh:Services:catalog:MaxRetries", "0"), ("Mesh:Namespace", "shop"));

        Assert.Equal(1, await AttemptsAsync("shop"));
    }

    [Fact]
    public async Task Get_ServiceByItsLongName_IsTheSameService()
    {
        Start(services => services.AddHttpClient("shop"), ("Mesh:Services:catalog:MaxRetries", "0"), ("Mesh:Namespace", "shop"));
        Program.Serve("catalog.shop.svc.cluster.local", [_backend.Endpoint]);

        using var response = await Program.Client("shop").GetAsync("http://catalog.shop.svc.cluster.local/", Cancel);

        Assert.Equal(1, _backend.Requests);
    }

    [Fact]
    public async Task Get_Timeout_EndsTheCallThoughTheRouteHasNone()
    {
        Start(services => services.AddHttpClient("shop").ConfigureMesh(o => o.Timeout = TimeSpan.FromMilliseconds(200)));
        _backend.Handler = context => new TaskCompletionSource().Task.WaitAsync(context.RequestAborted);

        using var response = await Program.Client("shop").GetAsync("http://catalog/", Cancel);

        Assert.Equal(HttpStatusCode.GatewayTimeout, response.StatusCode);
        Assert.Equal("TimedOut", Assert.Single(response.Headers.GetValues("mesh-error")));
    }

    [Fact]
    public async Task Get_AttemptTimeout_EndsAnAttemptAndAnotherIsMade()
    {
        Start(services => services.AddHttpClient("shop").ConfigureMesh(o => o.AttemptTimeout = TimeSpan.FromMilliseconds(1500)));
        _backend.Handler = context => _backend.Requests == 1 ? new TaskCompletionSource().Task.WaitAsync(context.RequestAborted) : context.Response.WriteAsync("ok", context.RequestAborted);

        Assert.Equal("ok", await Program.Client("shop").GetStringAsync("http://catalog/", Cancel));
        Assert.Equal(2, _backend.Requests);
    }

    [Fact]
    public async Task Get_MaxConcurrentRequests_RefusesOneMoreAtOnce()
    {
        Start(services => services.AddHttpClient("shop").ConfigureMesh(o => o.MaxConcurrentRequests = 1));
        var release = new TaskCompletionSource();
        _backend.Handler = _ => release.Task;
        var first = Program.Client("shop").GetAsync("http://catalog/", Cancel);
        await Eventually.Async(() => _backend.Requests == 1, "the first is in flight");

        using var second = await Program.Client("shop").GetAsync("http://catalog/", Cancel);
        release.SetResult();

        Assert.Equal("Overloaded", Assert.Single(second.Headers.GetValues("mesh-error")));
        Assert.Equal(HttpStatusCode.OK, (await first).StatusCode);
    }

    [Fact]
    public async Task Get_LargerThanTheRoute_IsSaidOncePerClientAndService()
    {
        Start(services =>
        {
            services.AddHttpClient("shop").ConfigureMesh(o => (o.MaxRetries, o.Timeout) = (9, TimeSpan.FromMinutes(1)));
            services.AddHttpClient("fine").ConfigureMesh(o => o.MaxRetries = 1);
        });
        Program.Serve("catalog", [_backend.Endpoint], new RouteAction.Forward([new("outbound|80||catalog.shop.svc.cluster.local", 1)]) { Timeout = TimeSpan.FromSeconds(5) });

        await AttemptsAsync("shop");
        await AttemptsAsync("fine");
        await AttemptsAsync("shop");

        var line = Assert.Single(Program.Logs.GetSnapshot(), r => r.Id.Id == 2403);
        Assert.Equal(LogLevel.Information, line.Level);
        Assert.Equal(
            "Client 'shop' allows calls to 'catalog.shop' more than the mesh does, which has no effect: Timeout 00:01:00 (the route allows 00:00:05), MaxRetries 9 (the route allows 2). What the mesh allows is set where its routes are",
            line.Message);
    }

    [Fact]
    public void Validate_WrongValues_AreAllNamedAtOnce()
    {
        var services = new ServiceCollection();
        services.AddLogging();
        services.AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Mesh:ControlPlane"] = "https://127.0.0.1:15012",
            ["Mesh:Clients:shop:Timeout"] = "00:00:00",
            ["Mesh:Services:catalog:MaxConcurrentRequests"] = "0",
        }).Build());
        services.AddMesh();
        services.AddHttpClient("orders").ConfigureMesh(o => (o.Timeout, o.AttemptTimeout, o.MaxRetries) = (TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2), -1));
        using var provider = services.BuildServiceProvider();

        var error = Assert.Throws<MeshConfigurationException>(() => provider.GetRequiredService<IOptions<MeshOptions>>().Value);

        Assert.Equal(
            [
                "Mesh:TrustBundle is not set. Give the path of the PEM file with the control plane's root certificate (trust_bundle in its ready line).",
                "Neither Mesh:Token nor Mesh:TokenFile is set. Give a join token for this namespace and service account, or another source of certificates: Mesh:CertificateFile and Mesh:KeyFile, or Mesh:WorkloadApi.",
                "Mesh:Clients:shop:Timeout is 00:00:00. Use 00:00:00.010 to 1.00:00:00, or leave it out for the route's.",
                "Mesh:Services:catalog:MaxConcurrentRequests is 0. Use at least 1, or leave it out for the cluster's.",
                "ConfigureMesh of client 'orders': AttemptTimeout is 00:00:02, longer than Timeout, 00:00:01. An attempt ends with its call: shorten it or leave it out.",
                "ConfigureMesh of client 'orders': MaxRetries is -1. Use 0 for none, or leave it out for the route's.",
            ],
            error.Problems);
    }

    [Theory]
    [InlineData("Mesh:Clients:shop:Timeout", "soon", "Mesh:Clients:shop:Timeout is 'soon'. Use hours:minutes:seconds, such as 00:00:02.5.")]
    [InlineData("Mesh:Clients:shop:MaxRetries", "few", "Mesh:Clients:shop:MaxRetries is 'few'. Use a whole number.")]
    [InlineData("Mesh:Clients:shop:RetryOwner", "Me", "Mesh:Clients:shop:RetryOwner is 'Me'. Use Mesh or Client.")]
    [InlineData("Mesh:Services:catalog:DisableHedging", "perhaps", "Mesh:Services:catalog:DisableHedging is 'perhaps'. Use true or false.")]
    [InlineData("Mesh:Services:catalog:RetryOwner", "Mesh", "Mesh:Services:catalog holds 'RetryOwner', which is no setting. Use Timeout, AttemptTimeout, MaxRetries, MaxConcurrentRequests or DisableHedging.")]
    [InlineData("Mesh:Clients:shop:MaxRetry", "1", "Mesh:Clients:shop holds 'MaxRetry', which is no setting. Use Timeout, AttemptTimeout, MaxRetries, MaxConcurrentRequests, DisableHedging or RetryOwner.")]
    public void Configure_UnreadableValue_IsNamedWithItsFix(string key, string value, string problem)
    {
        Start(_ => { }, (key, value));

        var error = Assert.Throws<MeshConfigurationException>(() => Program.Services.GetRequiredService<IOptions<MeshOptions>>().Value);

        Assert.Equal([problem], error.Problems);
    }

    [Fact]
    public void CreateClient_WrongValueThatNobodyLookedAt_IsRefused()
    {
        Start(services => services.AddHttpClient("shop").ConfigureMesh(o => o.MaxRetries = -1));

        var error = Assert.Throws<MeshConfigurationException>(() => Program.Client("shop"));

        Assert.Contains("'shop'", Assert.Single(error.Problems), StringComparison.Ordinal);
    }

    private void Start(Action<IServiceCollection> configure, params (string Key, string Value)[] settings)
    {
        _started = new MeshedProgram(_ca, services =>
        {
            services.AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection(settings.ToDictionary(s => s.Key, s => (string?)s.Value)).Build());
            configure(services);
        });
        _started.Serve("catalog", [_backend.Endpoint]);
    }

    /// <summary>How many requests the backend got for one call.</summary>
    private async Task<int> AttemptsAsync(string client)
    {
        var before = _backend.Requests;
        using var response = await Program.Client(client).GetAsync("http://catalog/", Cancel);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        return _backend.Requests - before;
    }
}
