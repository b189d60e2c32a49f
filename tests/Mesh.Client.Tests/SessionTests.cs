using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Diagnostics.Metrics;
using System.Net;
using System.Text;
using Grpc.Core;
using Grpc.Net.Client;
using Mesh.Config;
using Mesh.Identity;
using Mesh.Outbound;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using Xunit;
using Endpoint = Mesh.Config.Endpoint;

namespace Mesh.Client.Tests;

/// <summary>Calls of one session, and calls that are dropped, over real connections.</summary>
[Trait("gRFC", "A55")]
public sealed class SessionTests : IAsyncLifetime
{
    private const string One = "outbound|80||one.shop.svc.cluster.local";
    private const string Two = "outbound|80||two.shop.svc.cluster.local";
    private static readonly SessionAffinity _cookie = new(SessionCarrier.Cookie, "sid", false) { Ttl = TimeSpan.FromSeconds(90), Path = "/shop" };
    private readonly TestCa _ca = new("cluster.local");
    private readonly List<Backend> _backends = [];
    private MeshedProgram _program = null!;
    private MetricCollector<long> _decisions = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        // The client keeps no cookies of its own: what goes up is what a test says.
        _program = new MeshedProgram(_ca, services => services.AddHttpClient("plain").ConfigurePrimaryHttpMessageHandler(() => new SocketsHttpHandler { UseCookies = false }));
        _decisions = new MetricCollector<long>(_program.Services.GetRequiredService<IMeterFactory>(), "Mesh", MeshTags.ClientDecisions);
        for (var i = 0; i < 5; i++)
        {
            var own = i;
            // The last two speak plaintext HTTP/1.1.
            var identity = i < 3 ? new FixedIdentitySource(_ca.Identity("shop", "catalog")) : null;
            _backends.Add(await Backend.StartAsync(identity, context => context.Response.WriteAsync($"{own}")));
        }
    }

    public async ValueTask DisposeAsync()
    {
        _decisions.Dispose();
        await _program.DisposeAsync();
        foreach (var backend in _backends)
        {
            await backend.DisposeAsync();
        }

        _ca.Dispose();
    }

    [Theory]
    [InlineData(0, 3)] // HTTP/2 over mesh TLS
    [InlineData(3, 2)] // HTTP/1.1 in the clear
    public async Task Cookie_BroughtBack_MeetsTheSameEndpoint(int first, int count)
    {
        Serve(_cookie, Endpoints(first, count));
        var (who, cookie) = await GetAsync("/shop");
        Assert.Matches("^sid=[A-Za-z0-9+/=]+; Max-Age=90; Path=/shop; HttpOnly$", cookie);
        Assert.Equal($"127.0.0.1:{_backends[int.Parse(who, null)].Port};{One}", Encoding.UTF8.GetString(Convert.FromBase64String(Value(cookie!))));
        for (var i = 0; i < 20; i++)
        {
            // Nothing to tell: it is where it was.
            Assert.Equal((who, null), await GetAsync("/shop/cart", $"other=1; sid={Value(cookie!)}; more=2"));
        }

        Assert.Empty(_decisions.GetMeasurementSnapshot());
    }

    [Fact]
    public async Task Cookie_OtherPath_IsNoSession()
    {
        Serve(_cookie, Endpoints(0, 3));
        var (_, cookie) = await GetAsync("/shop");
        var seen = new HashSet<string>();
        for (var i = 0; i < 60; i++)
        {
            var (who, told) = await GetAsync("/shopping", $"sid={Value(cookie!)}");
            Assert.Null(told);
            seen.Add(who);
        }

        Assert.Equal(3, seen.Count);
    }

    [Theory]
    [InlineData("sid=%%%")]
    [InlineData("sid=bm9zZXBhcmF0b3I=")]
    [InlineData("sid=")]
    [InlineData("xsid=MTI3LjAuMC4xOjE7eA==")]
    public async Task Cookie_NotOurs_IsAsIfItWereNotThere(string brought)
    {
        Serve(_cookie, Endpoints(0, 3));
        var (_, cookie) = await GetAsync("/shop", brought);
        Assert.NotNull(cookie);
        Assert.Empty(_decisions.GetMeasurementSnapshot());
    }

    [Fact]
    public async Task Cookie_EndpointIsGone_MovesOnAndSaysWhere()
    {
        Serve(_cookie, Endpoints(0, 3));
        var (who, cookie) = await GetAsync("/shop");
        var left = Enumerable.Range(0, 3).Where(i => $"{i}" != who).ToArray();
        Serve(_cookie, [.. left.Select(i => _backends[i].Endpoint)]);

        var (next, moved) = await GetAsync("/shop", $"sid={Value(cookie!)}");
        Assert.Contains(int.Parse(next, null), left);
        Assert.Equal((next, null), await GetAsync("/shop", $"sid={Value(moved!)}"));
        Assert.Equal(["session moved"], Decided());
    }

    [Fact]
    public async Task Cookie_EndpointDies_TheRetryMovesOn()
    {
        Serve(_cookie, Endpoints(0, 2));
        var (who, cookie) = await GetAsync("/shop");
        await _backends[int.Parse(who, null)].KillAsync();
        var (next, moved) = await GetAsync("/shop", $"sid={Value(cookie!)}");
        Assert.NotEqual(who, next);
        Assert.Contains("session moved", Decided());
        Assert.Equal((next, null), await GetAsync("/shop", $"sid={Value(moved!)}"));
    }

    [Fact]
    public async Task Strict_EndpointIsGone_Fails()
    {
        var strict = _cookie with { Strict = true };
        Serve(strict, Endpoints(0, 3));
        var (who, cookie) = await GetAsync("/shop");
        Serve(strict, [.. Endpoints(0, 3).Where(e => e.Port != _backends[int.Parse(who, null)].Port)]);

        using var response = await SendAsync("/shop", $"sid={Value(cookie!)}");
        Assert.Equal((HttpStatusCode.ServiceUnavailable, nameof(MeshErrorCode.NoHealthyEndpoint)), (response.StatusCode, response.Headers.GetValues(OutboundErrors.Header).Single()));
        Assert.Contains("session is strict", await response.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
        Assert.Equal(["session refused"], Decided());

        // Who has no session gets one.
        Assert.NotNull((await GetAsync("/shop")).Cookie);
    }

    [Fact]
    public async Task Cookie_EndpointDrains_KeepsItsSessionsAndGetsNoNewOnes()
    {
        Serve(_cookie, Endpoints(0, 3));
        var (who, cookie) = await GetAsync("/shop");
        var port = _backends[int.Parse(who, null)].Port;
        Serve(_cookie, [.. Endpoints(0, 3).Select(e => e.Port == port ? e with { Healthy = false, Draining = true } : e)]);

        Assert.Equal((who, null), await GetAsync("/shop", $"sid={Value(cookie!)}"));
        for (var i = 0; i < 20; i++)
        {
            Assert.NotEqual(who, (await GetAsync("/shop")).Who);
        }

        Serve(_cookie, [.. Endpoints(0, 3).Select(e => e.Port == port ? e with { Healthy = false } : e)]);
        Assert.NotEqual(who, (await GetAsync("/shop", $"sid={Value(cookie!)}")).Who);
    }

    [Fact]
    [Trait("gRFC", "A60")]
    public async Task Cookie_NamesACluster_TheCallStaysInIt()
    {
        Serve(_cookie, Endpoints(0, 1), Endpoints(1, 1));
        var cookies = new Dictionary<string, string>();
        while (cookies.Count < 2)
        {
            var (who, cookie) = await GetAsync("/shop");
            cookies[who] = cookie!;
        }

        for (var i = 0; i < 10; i++)
        {
            Assert.Equal(("0", null), await GetAsync("/shop", $"sid={Value(cookies["0"])}"));
            Assert.Equal(("1", null), await GetAsync("/shop", $"sid={Value(cookies["1"])}"));
        }
    }

    [Fact]
    public async Task Header_BroughtBack_MeetsTheSameEndpoint()
    {
        Serve(new SessionAffinity(SessionCarrier.Header, "x-session", false), Endpoints(0, 3));
        using var first = await SendAsync("/");
        var (who, session) = (await first.Content.ReadAsStringAsync(Cancel), first.Headers.GetValues("x-session").Single());
        for (var i = 0; i < 20; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "http://catalog/any") { Headers = { { "x-session", session } } };
            using var response = await _program.Client("plain").SendAsync(request, Cancel);
            Assert.Equal(who, await response.Content.ReadAsStringAsync(Cancel));
            Assert.False(response.Headers.Contains("x-session"));
        }
    }

    [Fact]
    public async Task Cookie_WithoutPath_IsOfTheWholeSite_AndTheClientsOwnContainerKeepsIt()
    {
        Serve(new SessionAffinity(SessionCarrier.Cookie, "sid", false), Endpoints(0, 3));
        var client = _program.Client();
        var seen = new HashSet<string>();
        for (var i = 0; i < 20; i++)
        {
            seen.Add(await client.GetStringAsync($"http://catalog/a{i}/b", Cancel));
        }

        Assert.Single(seen);
    }

    [Fact]
    public async Task Override_OfTheRoute_TurnsSessionsOff()
    {
        Serve(_cookie, Endpoints(0, 3), off: true);
        Assert.Null((await GetAsync("/shop")).Cookie);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Grpc_Metadata_KeepsUnaryAndStreamsTogether(bool streaming)
    {
        Serve(new SessionAffinity(SessionCarrier.Header, "x-session", false), Endpoints(0, 3));
        using var channel = MeshChannel.ForAddress("xds:///catalog", _program.Services);
        var invoker = channel.CreateCallInvoker();
        var first = await Call([]);
        Assert.NotNull(first);
        for (var i = 0; i < 10; i++)
        {
            Assert.Null(await Call([new("x-session", first)]));
        }

        async Task<string?> Call(Metadata metadata)
        {
            var options = new CallOptions(metadata, cancellationToken: Cancel);
            if (!streaming)
            {
                using var unary = invoker.AsyncUnaryCall(EchoService.UnaryMethod, null, options, "x");
                Assert.Equal("x", await unary);
                return (await unary.ResponseHeadersAsync).GetValue("x-session");
            }

            using var stream = invoker.AsyncServerStreamingCall(EchoService.ServerMethod, null, options, "x");
            Assert.True(await stream.ResponseStream.MoveNext(Cancel));
            return (await stream.ResponseHeadersAsync).GetValue("x-session");
        }
    }

    [Fact]
    [Trait("gRFC", "A27")]
    public async Task Drop_AllCalls_AreRefusedUnsentAndNotRetried()
    {
        Serve(null, Endpoints(0, 1), drops: [new DropCategory("none", 0), new DropCategory("lb", 1_000_000)]);
        using var response = await SendAsync("/");
        Assert.Equal((HttpStatusCode.ServiceUnavailable, nameof(MeshErrorCode.Dropped)), (response.StatusCode, response.Headers.GetValues(OutboundErrors.Header).Single()));

        using var channel = MeshChannel.ForAddress("xds:///catalog", _program.Services);
        using var call = channel.CreateCallInvoker().AsyncUnaryCall(EchoService.UnaryMethod, null, new CallOptions(cancellationToken: Cancel), "x");
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(async () => await call)).StatusCode);
        Assert.Equal(["drop lb", "drop lb"], Decided());
        Assert.Equal(0, _backends[0].Requests);
    }

    [Fact]
    [Trait("gRFC", "A27")]
    public async Task Drop_AShare_IsRefusedEachCallOnce()
    {
        Serve(null, Endpoints(0, 1), drops: [new DropCategory("a", 200_000), new DropCategory("b", 500_000)]);
        var served = 0;
        for (var i = 0; i < 600; i++)
        {
            using var response = await SendAsync("/");
            served += response.IsSuccessStatusCode ? 1 : 0;
        }

        // 0.8 × 0.5 come through.
        Assert.InRange(served / 600.0, 0.32, 0.48);
        Assert.Equal(600 - served, Decided().Count());
    }

    private static string Value(string cookie) => cookie.Split(';')[0]["sid=".Length..];

    private Endpoint[] Endpoints(int first, int count) => [.. _backends.Skip(first).Take(count).Select(b => b.Endpoint)];

    private IEnumerable<string> Decided() =>
        _decisions.GetMeasurementSnapshot().Select(m => $"{m.Tags[MeshTags.Decision]} {m.Tags[MeshTags.Reason]}").Where(d => d.StartsWith("session", StringComparison.Ordinal) || d.StartsWith("drop", StringComparison.Ordinal));

    private void Serve(SessionAffinity? session, Endpoint[] one, Endpoint[]? two = null, bool off = false, DropCategory[]? drops = null)
    {
        const string Canonical = "catalog.shop.svc.cluster.local:80";
        var retry = new RetryPolicy(RetryOn.ConnectFailure | RetryOn.Reset | RetryOn.GatewayError, 2, null, TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(10), []);
        WeightedCluster[] clusters = two is null ? [new(One, 1)] : [new(One, 1), new(Two, 1)];
        var route = new Route("r", new RouteMatch(null, [], null), new RouteAction.Forward(clusters) { Retry = retry })
        {
            FilterOverrides = off ? new FilterOverrides(new Dictionary<string, HttpFilterSettings?> { ["session"] = null }.ToFrozenDictionary()) : FilterOverrides.None,
        };
        var found = new ListenerResult.Found(
            new Listener("catalog") { Api = new HttpConnectionManager(Canonical, null, null) { Filters = session is null ? [] : [new HttpFilter("session", session)] } },
            new RouteConfiguration(Canonical, [new VirtualHost("all", ["*"], [route])]));
        _program.Config.Set(new MeshSnapshot
        {
            Listeners = ImmutableDictionary<string, ListenerResult>.Empty.Add("catalog", found),
            Clusters = ImmutableDictionary<string, ClusterResult>.Empty.Add(One, Cluster(One, one)).Add(Two, Cluster(Two, two ?? [])),
        });

        ClusterResult Cluster(string name, Endpoint[] endpoints) => new ClusterResult.Found(
            new Cluster(name, name, TimeSpan.FromSeconds(2)) { LoadBalancing = LoadBalancing.RoundRobin },
            new LoadAssignment(name, [new(new("", "", ""), 0, 1, endpoints)]) { Drops = drops ?? [] });
    }

    private async Task<(string Who, string? Cookie)> GetAsync(string path, string? cookie = null)
    {
        using var response = await SendAsync(path, cookie);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return (await response.Content.ReadAsStringAsync(Cancel), response.Headers.TryGetValues("Set-Cookie", out var set) ? set.Single() : null);
    }

    private async Task<HttpResponseMessage> SendAsync(string path, string? cookie = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://catalog{path}");
        if (cookie is not null)
        {
            request.Headers.Add("Cookie", cookie);
        }

        return await _program.Client("plain").SendAsync(request, Cancel);
    }
}
