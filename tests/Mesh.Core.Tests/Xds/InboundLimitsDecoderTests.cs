using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Mesh.Config;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Filters;
using Mesh.Protos.Envoy.Type;
using Xunit;
using static Mesh.Xds.DecodeAssert;
using Hcm = Mesh.Protos.Envoy.Hcm.HttpConnectionManager;
using Wire = Mesh.Protos.Envoy.Listener;
using WireFilter = Mesh.Protos.Envoy.Hcm.HttpFilter;
using WireLimits = Mesh.Protos.Traffic.InboundLimits;
using WireRate = Mesh.Protos.Traffic.RateLimit;

namespace Mesh.Xds;

public sealed class InboundLimitsDecoderTests
{
    private const string Here = "default_filter_chain.filters[0].typed_config.http_filters[0].typed_config";

    [Fact]
    public void Ours_All_IsRead()
    {
        var limits = Limits(new WireLimits
        {
            RateLimits =
            {
                new WireRate { Name = "each", Requests = 100, Interval = Seconds(60), Burst = 20, Scope = WireRate.Types.Scope.Caller, Matches = { new Protos.Envoy.Route.RouteMatch { Path = "/search" } } },
                new WireRate { Name = "tenant", Requests = 5, Interval = Seconds(1), Scope = WireRate.Types.Scope.Header, Header = "X-Tenant" },
            },
            Concurrency = new Protos.Traffic.Concurrency { MaxRequests = 50, MaxQueue = 10, QueueTimeout = Seconds(2) },
        });

        Assert.Equal(new ServerConcurrency(50, 10, TimeSpan.FromSeconds(2)), limits.Concurrency);
        Assert.Equal(
            [
                ("each", 100, TimeSpan.FromMinutes(1), 20, RateLimitScope.Caller, null),
                ("tenant", 5, TimeSpan.FromSeconds(1), 5, RateLimitScope.Header, "x-tenant"),
            ],
            limits.RateLimits.Select(r => (r.Name, r.Requests, r.Interval, r.Burst, r.Scope, r.Header)));
        Assert.Equal("/search", Assert.Single(limits.RateLimits[0].Matches).Path?.Text);
        Assert.Empty(limits.RateLimits[1].Matches);
    }

    [Fact]
    public void Ours_QueueTimeoutAbsent_IsOneSecond() => Assert.Equal(
        new ServerConcurrency(1, 0, TimeSpan.FromSeconds(1)),
        Limits(new WireLimits { Concurrency = new Protos.Traffic.Concurrency { MaxRequests = 1 } }).Concurrency);

    [Fact]
    public void Ours_Wrong_EveryErrorIsNamed() => Invalid(
        Listener(Any.Pack(new WireLimits
        {
            RateLimits =
            {
                new WireRate(),
                new WireRate { Name = "x", Requests = 1, Interval = Seconds(0), Scope = (WireRate.Types.Scope)7 },
                new WireRate { Name = "x", Requests = 1, Interval = Seconds(86_401), Scope = WireRate.Types.Scope.Header, Matches = { new Protos.Envoy.Route.RouteMatch() } },
                new WireRate { Name = "y", Requests = 1, Interval = Seconds(-1), Header = "x-a" },
            },
            Concurrency = new Protos.Traffic.Concurrency { QueueTimeout = Seconds(0) },
        })),
        $"{Here}.rate_limits[0].name",
        $"{Here}.rate_limits[0].requests",
        $"{Here}.rate_limits[0].interval",
        $"{Here}.rate_limits[1].interval",
        $"{Here}.rate_limits[1].scope",
        $"{Here}.rate_limits[2].name",
        $"{Here}.rate_limits[2].interval",
        $"{Here}.rate_limits[2].header",
        $"{Here}.rate_limits[2].matches[0]",
        $"{Here}.rate_limits[3].interval",
        $"{Here}.rate_limits[3].header",
        $"{Here}.concurrency.max_requests",
        $"{Here}.concurrency.queue_timeout");

    [Fact]
    public void Ours_TooManyLimits_IsRefused()
    {
        var limits = new WireLimits();
        limits.RateLimits.AddRange(Enumerable.Range(0, 257).Select(i => new WireRate { Name = $"n{i}", Requests = 1, Interval = Seconds(1) }));

        Invalid(Listener(Any.Pack(limits)), $"{Here}.rate_limits");
    }

    [Fact]
    public void Envoy_TokenBucket_IsAnEvenPaceWithABurst()
    {
        var limit = Assert.Single(Limits(Bucket(100)).RateLimits);

        Assert.Equal(("in", 10, TimeSpan.FromSeconds(1), 40, RateLimitScope.Shared), (limit.Name, limit.Requests, limit.Interval, limit.Burst, limit.Scope));
    }

    [Fact]
    public void Envoy_TokensPerFillAbsent_IsOne()
    {
        var given = Bucket(100);
        given.TokenBucket.TokensPerFill = null;

        Assert.Equal(1, Assert.Single(Limits(given).RateLimits).Requests);
    }

    [Fact]
    public void Envoy_ShareOfNone_LimitsNothing()
    {
        Assert.Empty(Limits(Bucket(0)).RateLimits);
        var absent = Bucket(100);
        absent.FilterEnforced = null;
        Assert.Empty(Limits(absent).RateLimits);
    }

    [Fact]
    public void Envoy_NoBucket_IsAFilterThatARouteMayOverride()
    {
        var given = new LocalRateLimit { StatPrefix = "in" };
        var listener = Listener(Any.Pack(given));
        var manager = listener.DefaultFilterChain.Filters[0].TypedConfig.Unpack<Hcm>();
        manager.RouteConfig.VirtualHosts[0].Routes[0].TypedPerFilterConfig.Add("limits", Any.Pack(Bucket(100)));
        listener.DefaultFilterChain.Filters[0].TypedConfig = Any.Pack(manager);

        var http = Valid<Mesh.Config.Listener>(listener).FilterChains[0].Http!;

        Assert.Empty(Assert.IsType<InboundLimits>(Assert.Single(http.Filters).Settings).RateLimits);
        var overridden = Assert.IsType<InboundLimits>(http.Inline!.VirtualHosts[0].Routes[0].FilterOverrides.ByName["limits"]);
        Assert.Equal("in", Assert.Single(overridden.RateLimits).Name);
    }

    [Fact]
    public void Envoy_Wrong_EveryErrorIsNamed()
    {
        var given = Bucket(50);
        given.StatPrefix = "";
        given.FilterEnforced = new RuntimeFractionalPercent();
        given.TokenBucket = new TokenBucket { TokensPerFill = 0 };

        Invalid(
            Listener(Any.Pack(given)),
            $"{Here}.stat_prefix",
            $"{Here}.filter_enabled",
            $"{Here}.filter_enforced.default_value",
            $"{Here}.token_bucket.max_tokens",
            $"{Here}.token_bucket.tokens_per_fill",
            $"{Here}.token_bucket.fill_interval");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    [Trait("gRFC", "A39")]
    public void Limits_InAListenerForCallsOut_AreNotKnown(bool optional)
    {
        var manager = XdsResources.Manager("r");
        manager.HttpFilters.Insert(0, new WireFilter { Name = "limits", TypedConfig = Any.Pack(Bucket(100)), IsOptional = optional });
        var listener = new Wire.Listener { Name = "l", ApiListener = new Wire.ApiListener { ApiListener_ = Any.Pack(manager) } };

        if (optional)
        {
            Assert.Empty(Valid<Mesh.Config.Listener>(listener).Api!.Filters);
        }
        else
        {
            Invalid(listener, "api_listener.http_filters[0].typed_config");
        }
    }

    private static LocalRateLimit Bucket(uint percent) => new()
    {
        StatPrefix = "in",
        TokenBucket = new TokenBucket { MaxTokens = 40, TokensPerFill = 10, FillInterval = Seconds(1) },
        FilterEnabled = new RuntimeFractionalPercent { DefaultValue = new FractionalPercent { Numerator = percent } },
        FilterEnforced = new RuntimeFractionalPercent { DefaultValue = new FractionalPercent { Numerator = 100 } },
    };

    private static InboundLimits Limits(IMessage filter)
    {
        var chain = Valid<Mesh.Config.Listener>(Listener(Any.Pack(filter))).FilterChains[0];
        return Assert.IsType<InboundLimits>(Assert.Single(chain.Http!.Filters).Settings);
    }

    private static Wire.Listener Listener(Any limits)
    {
        var listener = ListenerDecoderTests.Inbound("in");
        listener.FilterChains.Clear();
        var manager = listener.DefaultFilterChain.Filters[0].TypedConfig.Unpack<Hcm>();
        manager.HttpFilters.Insert(0, new WireFilter { Name = "limits", TypedConfig = limits, IsOptional = true });
        listener.DefaultFilterChain.Filters[0].TypedConfig = Any.Pack(manager);
        return listener;
    }

    private static Duration Seconds(long seconds) => new() { Seconds = seconds };
}
