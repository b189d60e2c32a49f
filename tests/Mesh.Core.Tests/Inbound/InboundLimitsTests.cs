using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Net;
using Mesh.Config;
using Mesh.Inbound;
using Mesh.Resilience;
using Mesh.Traffic;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Core.Tests.Inbound;

public sealed class InboundLimitsTests
{
    private const string Prefix = "meshlib/inbound?address=";
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private static readonly RateLimit PerCaller = new("each", 2, Minute, 2, RateLimitScope.Caller, null, []);
    private static readonly RateLimit Shared = new("all", 3, Minute, 3, RateLimitScope.Shared, null, []);
    private readonly FakeTimeProvider _time = new();
    private readonly Random _random = new(1);
    private readonly InMemorySource _source = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public void Charge_CallerOverItsOwnLimit_TakesNothingFromTheShared()
    {
        var limits = Limits(new InboundLimits { RateLimits = [Shared, PerCaller] });
        for (var i = 0; i < 10; i++)
        {
            Assert.Equal(i < 2 ? null : "each", limits.Charge(null, "greedy", _random)?.Reason);
        }

        Assert.Null(limits.Charge(null, "modest", _random));
        Assert.Equal("all", limits.Charge(null, "modest", _random)?.Reason);
        // The shared limit refused: the caller's own second request is still there when the shared one has room again.
        _time.Advance(TimeSpan.FromSeconds(20));
        Assert.Null(limits.Charge(null, "modest", _random));
    }

    [Fact]
    public void Charge_Refused_SaysWhenToComeBack()
    {
        var limits = Limits(new InboundLimits { RateLimits = [new RateLimit("slow", 1, TimeSpan.FromSeconds(1.5), 1, RateLimitScope.Shared, null, [])] });
        Assert.Null(limits.Charge(null, "a", _random));

        var refusal = limits.Charge(null, "a", _random)!;

        Assert.Equal(("RateLimited", 429, 2L, 1_500L), (refusal.Code, refusal.HttpStatus, refusal.RetryAfterSeconds, refusal.RetryAfterMilliseconds));
        Assert.True(refusal.IsRateLimit);
    }

    [Fact]
    public void Charge_Matches_CountsOnlyRequestsThatMatchAny()
    {
        var search = new RouteMatch(new StringMatcher(StringMatchKind.Exact, "/search"), [], null);
        var posts = new RouteMatch(null, [new HeaderMatcher(":method", HeaderMatchKind.Text, new StringMatcher(StringMatchKind.Exact, "POST"))], null);
        var limiter = Limiter(new InboundLimits { RateLimits = [new RateLimit("some", 1, Minute, 1, RateLimitScope.Shared, null, [search, posts])] });
        Assert.True(limiter.NeedsHead);
        string? Charge(string path, string method) => limiter.For(new Head(path, method), _random).Charge(new Head(path, method), "a", _random)?.Reason;

        Assert.Null(Charge("/search", "GET"));
        Assert.Equal("some", Charge("/search", "GET"));
        Assert.Equal("some", Charge("/other", "POST"));
        Assert.Null(Charge("/other", "GET"));
    }

    [Fact]
    public void Charge_ByHeader_EachValueHasItsOwnAndLeavingItOutIsNoWayAround()
    {
        var limits = Limits(new InboundLimits { RateLimits = [new RateLimit("tenant", 1, Minute, 1, RateLimitScope.Header, "x-tenant", [])] });
        string? Charge(string? tenant) => limits.Charge(new Head("/", "GET", tenant), "a", _random)?.Reason;
        var (longOne, longOther) = (new string('x', 5_000) + "1", new string('x', 5_000) + "2");

        foreach (var tenant in new[] { "blue", "green", null, longOne, longOther })
        {
            Assert.Null(Charge(tenant));
            Assert.Equal("tenant", Charge(tenant));
        }
    }

    [Fact]
    public void Route_Override_ReplacesTheFilterAsAWholeAndCountsByItself()
    {
        var admin = new Route("admin", new RouteMatch(new StringMatcher(StringMatchKind.Prefix, "/admin"), [], null), new RouteAction.NotForwarding("in"))
        {
            FilterOverrides = Override(new InboundLimits { RateLimits = [Shared with { Name = "admins", Burst = 1 }] }),
        };
        var open = new Route("open", new RouteMatch(new StringMatcher(StringMatchKind.Prefix, "/open"), [], null), new RouteAction.NotForwarding("in")) { FilterOverrides = Override(null) };
        var rest = new Route("rest", new RouteMatch(null, [], null), new RouteAction.NotForwarding("in"));
        var limiter = Limiter(new InboundLimits { RateLimits = [Shared with { Burst = 1 }] }, new RouteConfiguration("in", [new VirtualHost("h", ["*"], [admin, open, rest])]));
        string? Charge(string path) => limiter.For(new Head(path, "GET"), _random).Charge(new Head(path, "GET"), "a", _random)?.Reason;

        Assert.Null(Charge("/admin/x"));
        Assert.Equal("admins", Charge("/admin/x"));
        Assert.Null(Charge("/y"));
        Assert.Equal("all", Charge("/y"));
        Assert.Null(Charge("/open"));
        Assert.Null(Charge("/open"));
        Assert.True(limiter.For(new Head("/open", "GET"), _random).IsNone);
    }

    [Fact]
    public async Task Push_UnchangedLimits_GoOnCounting()
    {
        using var table = Table();
        var address = table.Open(new IPEndPoint(IPAddress.Loopback, 80));
        var settings = new InboundLimits { RateLimits = [PerCaller], Concurrency = new ServerConcurrency(1, 0, Minute) };
        Publish(settings, "127.0.0.1:80");
        var first = Limits(address.Policy!);
        Assert.Null(first.Charge(null, "a", _random));
        Assert.Null(first.Charge(null, "a", _random));
        Assert.Equal(Admission.Entered, await first.EnterAsync(null, Token));

        Publish(settings with { RateLimits = [PerCaller with { Matches = [] }] }, "127.0.0.1:80");
        var second = Limits(address.Policy!);

        Assert.NotSame(first, second);
        Assert.NotNull(second.Charge(null, "a", _random));
        Assert.Equal(Admission.QueueFull, await second.EnterAsync(null, Token));
        first.Exit();
        Assert.Equal(Admission.Entered, await second.EnterAsync(null, Token));
    }

    [Fact]
    public async Task Push_OtherNumbers_RatesBeginAnewAndPlacesCountOn()
    {
        using var table = Table();
        var address = table.Open(new IPEndPoint(IPAddress.Loopback, 80));
        Publish(new InboundLimits { RateLimits = [PerCaller with { Burst = 1 }], Concurrency = new ServerConcurrency(1, 0, Minute) }, "127.0.0.1:80");
        var first = Limits(address.Policy!);
        Assert.Null(first.Charge(null, "a", _random));
        Assert.Equal(Admission.Entered, await first.EnterAsync(null, Token));

        Publish(new InboundLimits { RateLimits = [PerCaller with { Burst = 3 }], Concurrency = new ServerConcurrency(2, 0, Minute) }, "127.0.0.1:80");
        var second = Limits(address.Policy!);

        Assert.Null(second.Charge(null, "a", _random));
        Assert.Equal(Admission.Entered, await second.EnterAsync(null, Token));
        Assert.Equal(Admission.QueueFull, await second.EnterAsync(null, Token));
    }

    [Fact]
    public void Localhost_TwoAddressesOfOnePort_CountTogetherOtherPortsApart()
    {
        using var table = Table();
        var addresses = new[] { new IPEndPoint(IPAddress.Loopback, 80), new IPEndPoint(IPAddress.IPv6Loopback, 80), new IPEndPoint(IPAddress.Loopback, 81) }.Select(table.Open).ToArray();
        Publish(new InboundLimits { RateLimits = [Shared with { Burst = 1 }] }, [.. addresses.Select(a => a.Name)]);

        Assert.Null(Limits(addresses[0].Policy!).Charge(null, "a", _random));
        Assert.NotNull(Limits(addresses[1].Policy!).Charge(null, "a", _random));
        Assert.NotNull(Limits(addresses[1].Policy!, meshTls: false).Charge(null, "a", _random));
        Assert.Null(Limits(addresses[2].Policy!).Charge(null, "a", _random));
    }

    [Fact]
    public async Task Options_NarrowAndNeverWiden()
    {
        using var table = Table(new ServerLimits(2, 1, TimeSpan.FromSeconds(5)));
        var address = table.Open(new IPEndPoint(IPAddress.Loopback, 80));
        Publish(new InboundLimits { Concurrency = new ServerConcurrency(100, 50, Minute) }, "127.0.0.1:80");
        var limits = Limits(address.Policy!);
        Assert.Equal(Admission.Entered, await limits.EnterAsync(null, Token));
        Assert.Equal(Admission.Entered, await limits.EnterAsync(null, Token));
        var waits = limits.EnterAsync(null, Token).AsTask();
        Assert.Equal(Admission.QueueFull, await limits.EnterAsync(null, Token));
        _time.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal(Admission.TimedOut, await waits);

        Publish(new InboundLimits { Concurrency = new ServerConcurrency(1, 0, TimeSpan.FromSeconds(1)) }, "127.0.0.1:80");

        Assert.Equal(Admission.QueueFull, await Limits(address.Policy!).EnterAsync(null, Token));
    }

    [Fact]
    public async Task Options_Alone_HoldForTheWholeServer()
    {
        using var table = Table(new ServerLimits(1, null, null));
        var address = table.Open(new IPEndPoint(IPAddress.Loopback, 80));
        Publish(null, "127.0.0.1:80");

        Assert.Equal(Admission.Entered, await Limits(address.Policy!).EnterAsync(null, Token));
        Assert.Equal(Admission.QueueFull, await Limits(table.Undescribed).EnterAsync(null, Token));
        Limits(address.Policy!).Exit();
        Assert.Equal(Admission.Entered, await Limits(table.Undescribed).EnterAsync(null, Token));
    }

    [Fact]
    public async Task Enter_PlaceOfThePortButNotOfTheServer_GivesTheFirstBack()
    {
        using var table = Table(new ServerLimits(1, 0, null));
        var addresses = new[] { 80, 81 }.Select(p => table.Open(new IPEndPoint(IPAddress.Loopback, p))).ToArray();
        Publish(new InboundLimits { Concurrency = new ServerConcurrency(1, 0, Minute) }, [.. addresses.Select(a => a.Name)]);
        var (one, other) = (Limits(addresses[0].Policy!), Limits(addresses[1].Policy!));
        Assert.Equal(Admission.Entered, await one.EnterAsync(null, Token));
        Assert.Equal(Admission.QueueFull, await other.EnterAsync(null, Token));

        one.Exit();

        Assert.Equal(Admission.Entered, await other.EnterAsync(null, Token));
    }

    [Fact]
    public async Task Enter_DeadlineOverWhileWaiting_LeavesAtOnce()
    {
        var limits = Limits(new InboundLimits { Concurrency = new ServerConcurrency(1, 5, Minute) });
        Assert.Equal(Admission.Entered, await limits.EnterAsync(null, Token));
        var deadline = new Deadline(_time, _time.GetTimestamp(), TimeSpan.FromSeconds(2));
        var waits = limits.EnterAsync(deadline, Token).AsTask();

        _time.Advance(TimeSpan.FromSeconds(2));

        Assert.Equal(Admission.CallerLeft, await waits);
        Assert.Equal(Admission.CallerLeft, await limits.EnterAsync(deadline, Token));
    }

    [Fact]
    public void From_NothingLimited_IsNoLimiter()
    {
        Assert.Null(InboundLimiter.From(Http(new InboundLimits()), null, States()));
        Assert.Null(InboundLimiter.From(null, null, States()));
    }

    [Fact]
    public void ChargeAndEnter_KnownCaller_AllocateNothing()
    {
        var limits = Limits(new InboundLimits { RateLimits = [PerCaller with { Burst = 100_000 }, Shared with { Burst = 100_000 }], Concurrency = new ServerConcurrency(5, 5, Minute) });
        Pass();
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1_000; i++)
        {
            Pass();
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Pass()
        {
            var entered = limits.Charge(null, "spiffe://cluster.local/ns/shop/sa/web", _random) is null && IsDone(limits.EnterAsync(null, CancellationToken.None));
            if (!entered)
            {
                throw new InvalidOperationException("refused");
            }

            limits.Exit();
        }
    }

    private static bool IsDone(ValueTask<Admission> entering) => entering.IsCompletedSuccessfully;

    private static FilterOverrides Override(InboundLimits? limits) => new(new Dictionary<string, HttpFilterSettings?> { ["limits"] = limits }.ToFrozenDictionary());

    private static HttpConnectionManager Http(InboundLimits limits, RouteConfiguration? routes = null) =>
        new(null, routes, null) { Filters = [new HttpFilter("limits", limits)] };

    private LimitStates States() => new([], ServerLimits.None, _time);

    private InboundLimiter Limiter(InboundLimits limits, RouteConfiguration? routes = null) => InboundLimiter.From(Http(limits, routes), null, States())!;

    private RequestLimits Limits(InboundLimits limits) => Limiter(limits).For(null, _random);

    private RequestLimits Limits(InboundPolicy policy, bool meshTls = true) => policy.Limits(meshTls)!.For(null, _random);

    private InboundTable Table(ServerLimits? narrow = null) => new(_source, Prefix, narrow ?? ServerLimits.None, _time, NullLogger<InboundTable>.Instance);

    private void Publish(InboundLimits? limits, params string[] addresses)
    {
        var http = limits is null ? null : Http(limits);
        var listeners = addresses.ToImmutableDictionary(a => Prefix + a, a => (ListenerResult)new ListenerResult.Found(
            new Listener(Prefix + a)
            {
                FilterChains =
                [
                    new FilterChain("mesh-tls", TransportProtocol.Tls, true, true) { Http = http },
                    new FilterChain("plaintext", TransportProtocol.Any, false, false) { Http = http },
                ],
            },
            null));
        _source.Snapshots.Publish(MeshSnapshot.Empty with { Listeners = listeners });
    }

    private sealed class Head(string path, string method, string? tenant = null) : RequestHead
    {
        public override string Method => method;

        public override string Authority => "shop";

        public override string Path => path;

        public override string Query => string.Empty;

        public override string? Header(string name) => name switch
        {
            ":method" => method,
            "x-tenant" => tenant,
            _ => null,
        };
    }

    private sealed class InMemorySource : IConfigSource
    {
        public SnapshotStore Snapshots { get; } = new();

        public void Watch(string listenerName)
        {
        }

        public void Unwatch(string listenerName)
        {
        }
    }
}
