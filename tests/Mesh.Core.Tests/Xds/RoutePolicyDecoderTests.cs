using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Mesh.Config;
using Mesh.Xds.Decoding;
using Xunit;
using static Mesh.Xds.DecodeAssert;
using Ours = Mesh.Protos.Traffic;
using Wire = Mesh.Protos.Envoy.Route;

namespace Mesh.Xds;

public sealed class RoutePolicyDecoderTests
{
    private const string Path = "virtual_hosts[0].routes[0].typed_per_filter_config[\"io.meshlib.route\"]";

    [Fact]
    public void Route_WithPolicy_HasHedgingAndHeadersTimeoutAndNoOverride()
    {
        var policy = new Ours.RoutePolicy
        {
            Hedging = new() { Percentile = 95, Delay = new Duration { Nanos = 5_000_000 }, MaxAttempts = 3 },
            ResponseHeadersTimeout = new Duration { Seconds = 2 },
        };

        var route = Assert.Single(Valid<RouteConfiguration>(With(policy)).VirtualHosts[0].Routes);

        var forward = Assert.IsType<RouteAction.Forward>(route.Action);
        Assert.Equal(new Hedging(95, TimeSpan.FromMilliseconds(5), 3), forward.Hedging);
        Assert.Equal(TimeSpan.FromSeconds(2), forward.ResponseHeadersTimeout);
        Assert.Same(FilterOverrides.None, route.FilterOverrides);
    }

    [Fact]
    public void Decode_FaultExpiry_IsRead()
    {
        var errors = new DecodeErrors();
        var given = With(new Ours.RoutePolicy { FaultExpiresAt = Timestamp.FromDateTimeOffset(DateTimeOffset.UnixEpoch.AddDays(1)) }, optional: false);

        var policy = RoutePolicyDecoder.Decode(given.VirtualHosts[0].Routes[0].TypedPerFilterConfig, "r", errors);

        Assert.Equal(new RoutePolicy(null, null, DateTimeOffset.UnixEpoch.AddDays(1)), policy);
        Assert.Empty(errors.All);
    }

    [Fact]
    public void Route_PolicyIsWrong_AllIsNamed()
    {
        var policy = new Ours.RoutePolicy
        {
            Hedging = new() { Percentile = 100, MaxAttempts = 1 },
            ResponseHeadersTimeout = new Duration { Seconds = -1 },
            FaultExpiresAt = new Timestamp { Seconds = long.MaxValue },
        };
        Invalid(With(policy), $"{Path}.hedging.percentile", $"{Path}.hedging.max_attempts", $"{Path}.response_headers_timeout", $"{Path}.fault_expires_at");
        Invalid(With(new Ours.RoutePolicy { Hedging = new() { MaxAttempts = 2 } }), $"{Path}.hedging.delay");
    }

    [Fact]
    public void Route_OtherTypeUnderOurName_IsSkippedWhenOptionalElseRefused()
    {
        Assert.Null(Forward(With(new Ours.Concurrency())).Hedging);
        Invalid(With(new Ours.Concurrency(), optional: false), Path);
    }

    [Theory]
    [InlineData(null, null)]
    [InlineData(0, null)]
    [InlineData(7, 7)]
    public void IdleTimeout_ZeroIsNone(int? given, int? expected)
    {
        var routes = XdsResources.Routes("r", "c");
        routes.VirtualHosts[0].Routes[0].Route_.IdleTimeout = given is null ? null : new Duration { Seconds = given.Value };
        Assert.Equal(expected, (int?)Forward(routes).IdleTimeout?.TotalSeconds);
    }

    [Fact]
    public void Retry_HeaderConditions_AreRead()
    {
        var routes = XdsResources.Routes("r", "c");
        routes.VirtualHosts[0].Routes[0].Route_.RetryPolicy = new Wire.RetryPolicy
        {
            RetryOn = "retriable-headers,reset-before-request,retriable-4xx",
            RetriableHeaders = { new Wire.HeaderMatcher { Name = "X-Again", PresentMatch = true } },
            RetriableRequestHeaders = { new Wire.HeaderMatcher { Name = "x-safe", ExactMatch = "yes" } },
        };

        var retry = Forward(routes).Retry!;

        Assert.Equal(RetryOn.RetriableHeaders | RetryOn.ResetBeforeRequest | RetryOn.Retriable4xx, retry.On);
        Assert.Equal("x-again", Assert.Single(retry.RetriableHeaders).Name);
        Assert.True(Assert.Single(retry.RetriableRequestHeaders).MatchesValue("yes"));
        routes.VirtualHosts[0].Routes[0].Route_.RetryPolicy.RetriableHeaders.Add(new Wire.HeaderMatcher());
        Invalid(routes, "virtual_hosts[0].routes[0].route.retry_policy.retriable_headers[1]", "virtual_hosts[0].routes[0].route.retry_policy.retriable_headers[1].name");
    }

    private static RouteAction.Forward Forward(Wire.RouteConfiguration given) =>
        Assert.IsType<RouteAction.Forward>(Assert.Single(Valid<RouteConfiguration>(given).VirtualHosts[0].Routes).Action);

    private static Wire.RouteConfiguration With(IMessage policy, bool optional = true)
    {
        var routes = XdsResources.Routes("r", "c");
        routes.VirtualHosts[0].Routes[0].TypedPerFilterConfig["io.meshlib.route"] = optional
            ? Any.Pack(new Wire.FilterConfig { Config = Any.Pack(policy), IsOptional = true })
            : Any.Pack(policy);
        return routes;
    }
}
