using System.Collections.Frozen;
using Mesh.Config;
using Mesh.Identity;
using Mesh.Spiffe;
using Mesh.Testing;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace Mesh.Client.Tests;

/// <summary>Callers whose trust changes while they are connected, and endpoints that are not who the service's are.</summary>
public sealed class LiveTrustTests : IAsyncDisposable
{
    private readonly TestCa _ca = new("cluster.local", withIssuer: true);
    private readonly MeshedProgram _program;

    public LiveTrustTests() => _program = new MeshedProgram(_ca);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        await _program.DisposeAsync();
        _ca.Dispose();
    }

    [Fact]
    public async Task Revoked_EndpointsRunningCallEndsAtOnceAndNewOnesAreRefused()
    {
        await using var backend = await StartAsync("catalog");
        _program.Serve("catalog", [backend.Endpoint]);
        using var client = _program.Client();
        using var running = await client.GetAsync(new Uri("http://catalog/stream"), HttpCompletionOption.ResponseHeadersRead, Token);

        _program.Identity.Replace(_program.Identity.Current.With(_ca.Bundle with { RevokedIds = FrozenSet.Create(backend.Endpoint.SpiffeId!) }));

        await Assert.ThrowsAnyAsync<Exception>(() => running.Content.ReadAsStringAsync(Token));
        var refused = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetStringAsync(new Uri("http://catalog/"), Token));
        Assert.Contains("The identity 'spiffe://cluster.local/ns/shop/sa/catalog' is revoked.", refused.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Bundle_ChangesOtherwise_TheConnectionGoesOnAndStaysTheOne()
    {
        var connections = new HashSet<string>();
        await using var backend = await StartAsync("catalog", context => connections.Add(context.Connection.Id));
        _program.Serve("catalog", [backend.Endpoint]);
        using var client = _program.Client();
        await client.GetStringAsync(new Uri("http://catalog/"), Token);

        using var next = new TestCa("cluster.local");
        _program.Identity.Replace(_program.Identity.Current.With(_ca.Bundle with { Roots = [_ca.Root, next.Root], RevokedSerials = FrozenSet.Create("1f") }));
        await client.GetStringAsync(new Uri("http://catalog/"), Token);

        Assert.Single(connections);
    }

    [Fact]
    public async Task Bundle_ChangedSinceTheHandlerWasMade_ItsNextConnectionIsJudgedByIt()
    {
        await using var first = await StartAsync("catalog");
        _program.Serve("catalog", [first.Endpoint]);
        using var client = _program.Client();
        await client.GetStringAsync(new Uri("http://catalog/"), Token);
        var port = first.Port;
        await first.KillAsync();
        await first.DisposeAsync();
        using var next = new TestCa("cluster.local");
        _program.Identity.Replace(_program.Identity.Current.With(_ca.Bundle with { Roots = [_ca.Root, next.Root] }));

        // The same endpoint, now under the new root.
        await using var second = await Backend.StartAsync(new FixedIdentitySource(next.Identity("shop", "catalog").With(_program.Identity.Current.Bundle)), port: port);

        await Eventually.Async(
            async () =>
            {
                try
                {
                    return await client.GetStringAsync(new Uri("http://catalog/"), Token) == "ok";
                }
                catch (HttpRequestException)
                {
                    return false;
                }
            },
            "the endpoint under the new root answers");
    }

    [Fact]
    public async Task TwoServicesCertificatesSwapped_AreBothRefusedBeforeARequest()
    {
        await using var catalog = await StartAsync("pay");
        await using var pay = await StartAsync("catalog");
        _program.Serve("catalog", [catalog.Endpoint with { SpiffeId = Id("catalog") }]);
        using var client = _program.Client();
        var first = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetStringAsync(new Uri("http://catalog/"), Token));
        _program.Serve("pay", [pay.Endpoint with { SpiffeId = Id("pay") }]);
        var second = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetStringAsync(new Uri("http://pay/"), Token));

        Assert.Contains("sa/pay', expected 'spiffe://cluster.local/ns/shop/sa/catalog'", first.ToString(), StringComparison.Ordinal);
        Assert.Contains("sa/catalog', expected 'spiffe://cluster.local/ns/shop/sa/pay'", second.ToString(), StringComparison.Ordinal);
        Assert.Equal((0, 0), (catalog.Requests, pay.Requests));
    }

    [Fact]
    public async Task OneAddressOfTwoServices_AConnectionOfOneCarriesNothingOfTheOther()
    {
        // Both name the same address; only one of them is who answers there. An open connection of the first must not carry the second's call.
        await using var backend = await StartAsync("catalog");
        var catalog = MeshedProgram.Snapshot("catalog", Forward("catalog"), (Cluster("catalog"), [backend.Endpoint]));
        var pay = MeshedProgram.Snapshot("pay", Forward("pay"), (Cluster("pay"), [backend.Endpoint with { SpiffeId = Id("pay") }]));
        _program.Config.Set(catalog with { Listeners = catalog.Listeners.AddRange(pay.Listeners), Clusters = catalog.Clusters.AddRange(pay.Clusters) });
        using var client = _program.Client();
        Assert.Equal("ok", await client.GetStringAsync(new Uri("http://catalog/"), Token));

        var refused = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetStringAsync(new Uri("http://pay/"), Token));

        Assert.Contains("expected 'spiffe://cluster.local/ns/shop/sa/pay'", refused.ToString(), StringComparison.Ordinal);
        Assert.Equal("ok", await client.GetStringAsync(new Uri("http://catalog/"), Token));
        Assert.Equal(2, backend.Requests);
    }

    [Fact]
    public async Task Host_OfAnotherService_GoesToTheServiceOfTheUriAndItsIdentity()
    {
        await using var catalog = await StartAsync("catalog");
        await using var pay = await StartAsync("pay");
        var one = MeshedProgram.Snapshot("catalog", Forward("catalog"), (Cluster("catalog"), [catalog.Endpoint]));
        var two = MeshedProgram.Snapshot("pay", Forward("pay"), (Cluster("pay"), [pay.Endpoint]));
        _program.Config.Set(one with { Listeners = one.Listeners.AddRange(two.Listeners), Clusters = one.Clusters.AddRange(two.Clusters) });
        using var client = _program.Client();
        await client.GetStringAsync(new Uri("http://catalog/"), Token);
        await client.GetStringAsync(new Uri("http://pay/"), Token);
        using var request = new HttpRequestMessage(HttpMethod.Get, "http://catalog/") { Headers = { Host = "pay" } };

        using var answer = await client.SendAsync(request, Token);

        Assert.Equal((3, true), (catalog.Requests + pay.Requests, answer.IsSuccessStatusCode));
        Assert.True((catalog.Requests, pay.Requests) is (2, 1), "the authority alone moved a call to another service");
    }

    private static string Cluster(string name) => $"outbound|80||{name}.shop.svc.cluster.local";

    private static RouteAction.Forward Forward(string name) => new([new(Cluster(name), 1)]);

    private static SpiffeId Id(string sa) => SpiffeId.Parse($"spiffe://cluster.local/ns/shop/sa/{sa}");

    private Task<Backend> StartAsync(string sa, Action<HttpContext>? seen = null) => Backend.StartAsync(
        new FixedIdentitySource(_ca.Identity("shop", sa)),
        async context =>
        {
            seen?.Invoke(context);
            await context.Response.WriteAsync("ok", context.RequestAborted);
            if (context.Request.Path == "/stream")
            {
                await context.Response.Body.FlushAsync(context.RequestAborted);
                await Task.Delay(Timeout.Infinite, context.RequestAborted);
            }
        });
}
