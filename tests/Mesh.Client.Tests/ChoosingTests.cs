using System.Net;
using Mesh.Config;
using Mesh.Identity;
using Mesh.Testing;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace Mesh.Client.Tests;

/// <summary>Which endpoint a call meets, over real connections.</summary>
public sealed class ChoosingTests : IAsyncLifetime
{
    private readonly TestCa _ca = new("cluster.local");
    private readonly List<Backend> _backends = [];
    private MeshedProgram _program = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _program = new MeshedProgram(_ca);
        for (var i = 0; i < 3; i++)
        {
            var own = i;
            _backends.Add(await Backend.StartAsync(new FixedIdentitySource(_ca.Identity("shop", "catalog")), context => context.Response.WriteAsync($"{own}")));
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _program.DisposeAsync();
        foreach (var backend in _backends)
        {
            await backend.DisposeAsync();
        }

        _ca.Dispose();
    }

    [Fact]
    [Trait("gRFC", "A42")]
    public async Task RingHash_SameHeader_MeetsTheSameEndpointWhileOthersSpread()
    {
        Serve(LoadBalancing.RingHash, new HashPolicy("user", false));
        var first = new Dictionary<int, string>();
        for (var call = 0; call < 60; call++)
        {
            var user = call % 20;
            var who = await GetAsync($"user-{user}");
            Assert.Equal(first.GetValueOrDefault(user, who), who);
            first[user] = who;
        }

        Assert.Equal(3, first.Values.Distinct().Count());
    }

    [Fact]
    [Trait("gRFC", "A42")]
    public async Task RingHash_ByChannel_OneClientMeetsOneEndpoint()
    {
        Serve(LoadBalancing.RingHash, new HashPolicy(null, false));
        var first = await GetAsync("a");
        for (var i = 0; i < 20; i++)
        {
            Assert.Equal(first, await GetAsync($"{i}"));
        }
    }

    [Fact]
    [Trait("gRFC", "A42")]
    public async Task RingHash_WithoutPolicies_Spreads()
    {
        Serve(LoadBalancing.RingHash);
        var seen = new HashSet<string>();
        for (var i = 0; i < 60; i++)
        {
            seen.Add(await GetAsync("same"));
        }

        Assert.Equal(3, seen.Count);
    }

    [Fact]
    [Trait("gRFC", "A42")]
    public async Task RingHash_EndpointIsDead_ItsCallsGoToOneOther()
    {
        Serve(LoadBalancing.RingHash, new HashPolicy("user", false));
        var owner = await GetAsync("me");
        await _backends[int.Parse(owner, System.Globalization.CultureInfo.InvariantCulture)].KillAsync();
        var next = await GetAsync("me");
        Assert.NotEqual(owner, next);
        for (var i = 0; i < 5; i++)
        {
            Assert.Equal(next, await GetAsync("me"));
        }
    }

    [Fact]
    [Trait("gRFC", "A62")]
    public async Task PickFirst_EndpointIsDead_MovesOnAndStays()
    {
        Serve(LoadBalancing.PickFirst);
        for (var i = 0; i < 5; i++)
        {
            Assert.Equal("0", await GetAsync($"{i}"));
        }

        await _backends[0].KillAsync();
        for (var i = 0; i < 10; i++)
        {
            Assert.Equal("1", await GetAsync($"{i}"));
        }

        Assert.Equal(0, _backends[2].Requests);
    }

    private void Serve(LoadBalancing policy, params HashPolicy[] hash)
    {
        const string Cluster = "outbound|80||catalog.shop.svc.cluster.local";
        var retry = new RetryPolicy(RetryOn.ConnectFailure | RetryOn.Reset, 2, null, TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(10), []);
        _program.Serve(
            "catalog",
            [.. _backends.Select(b => b.Endpoint)],
            new RouteAction.Forward([new(Cluster, 1)]) { Retry = retry, HashPolicies = hash },
            c => c with { LoadBalancing = policy });
    }

    private async Task<string> GetAsync(string user)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "http://catalog/") { Headers = { { "User", user } } };
        using var response = await _program.Client().SendAsync(request, Cancel);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return await response.Content.ReadAsStringAsync(Cancel);
    }
}
