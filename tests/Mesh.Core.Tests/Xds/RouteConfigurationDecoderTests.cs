using Google.Protobuf.WellKnownTypes;
using Mesh.Config;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Matcher;
using Mesh.Protos.Envoy.Type;
using Mesh.Traffic;
using Xunit;
using static Mesh.Xds.DecodeAssert;
using Wire = Mesh.Protos.Envoy.Route;

namespace Mesh.Xds;

public sealed class RouteConfigurationDecoderTests
{
    private const string Route0 = "virtual_hosts[0].routes[0]";

    [Fact]
    public void Domains_ValidForms_AreLowerCase()
    {
        var given = XdsResources.Routes("r");
        given.VirtualHosts[0].Domains.Clear();
        given.VirtualHosts[0].Domains.Add(["Exact.Name:80", "*.Suffix", "prefix.*", "*"]);
        Assert.Equal(["exact.name:80", "*.suffix", "prefix.*", "*"], Valid<RouteConfiguration>(given).VirtualHosts[0].Domains);
    }

    [Fact]
    public void Domains_BadOrRepeated_AreAllNamed()
    {
        var given = XdsResources.Routes("");
        given.VirtualHosts[0].Domains.Add(["", "a*b", "*.*"]);
        given.VirtualHosts.Add(new Wire.VirtualHost { Domains = { "*" } });
        given.VirtualHosts.Add(new Wire.VirtualHost());
        Invalid(given, "name", "virtual_hosts[0].domains[1]", "virtual_hosts[0].domains[2]", "virtual_hosts[0].domains[3]", "virtual_hosts[1].domains[0]", "virtual_hosts[2].domains");
    }

    [Theory]
    [InlineData("")]
    [InlineData("/")]
    public void Path_EmptyOrRootPrefix_TakesEverything(string prefix) =>
        Assert.Null(Only(new Wire.RouteMatch { Prefix = prefix }).Match.Path);

    [Fact]
    [Trait("gRFC", "A28")]
    public void Path_EachSpecifier_BecomesItsMatcher()
    {
        Assert.Equal((StringMatchKind.Prefix, true), Kind(new Wire.RouteMatch { Prefix = "/A", CaseSensitive = false }));
        Assert.Equal((StringMatchKind.Exact, false), Kind(new Wire.RouteMatch { Path = "/a" }));
        Assert.Equal((StringMatchKind.PathPrefix, false), Kind(new Wire.RouteMatch { PathSeparatedPrefix = "/a" }));
        Assert.Equal((StringMatchKind.Regex, false), Kind(new Wire.RouteMatch { SafeRegex = new RegexMatcher { Regex = "/a+" } }));

        static (StringMatchKind, bool) Kind(Wire.RouteMatch match) => Only(match).Match.Path is { } path ? (path.Kind, path.IgnoreCase) : default;
    }

    [Theory]
    [InlineData("a(?=b)")]
    [InlineData(@"(a)\1")]
    [InlineData("a)|(b")]
    [InlineData("[")]
    [InlineData("")]
    public void Path_RegexThatRe2Refuses_IsRefused(string regex) =>
        Invalid(With(new Wire.RouteMatch { SafeRegex = new RegexMatcher { Regex = regex } }), $"{Route0}.match.safe_regex.regex");

    [Fact]
    public void Match_MissingOrWithoutPath_IsRefused()
    {
        Invalid(With(new Wire.RouteMatch()), $"{Route0}.match");
        Invalid(With((Wire.RouteMatch?)null), $"{Route0}.match");
        Invalid(With(new Wire.RouteMatch { PathSeparatedPrefix = "/a/" }), $"{Route0}.match.path_separated_prefix");
    }

    [Fact]
    [Trait("gRFC", "A63")]
    public void Headers_AllForms_AreRead()
    {
        var match = new Wire.RouteMatch { Prefix = "/" };
        match.Headers.Add(new Wire.HeaderMatcher { Name = ":method", ExactMatch = "GET" });
        match.Headers.Add(new Wire.HeaderMatcher { Name = "X-Number", RangeMatch = new Int64Range { Start = 1, End = 5 }, InvertMatch = true });
        match.Headers.Add(new Wire.HeaderMatcher { Name = "x-there", PresentMatch = true });
        match.Headers.Add(new Wire.HeaderMatcher { Name = "x-not-there", PresentMatch = false });
        match.Headers.Add(new Wire.HeaderMatcher { Name = "x-not-there", PresentMatch = true, InvertMatch = true });
        match.Headers.Add(new Wire.HeaderMatcher { Name = "x-text", StringMatch = new Protos.Envoy.Matcher.StringMatcher { Contains = "A", IgnoreCase = true } });
        var headers = Only(match).Match.Headers;

        Assert.True(headers[0].MatchesValue("GET"));
        Assert.Equal("x-number", headers[1].Name);
        Assert.False(headers[1].MatchesValue("4"));
        Assert.True(headers[1].MatchesValue("5"));
        Assert.True(headers[2].MatchesValue("") && !headers[2].MatchesValue(null));
        Assert.All(headers.Skip(3).Take(2), h => Assert.True(h.MatchesValue(null) && !h.MatchesValue("x")));
        Assert.True(headers[5].MatchesValue("bAb"));
    }

    [Fact]
    public void Headers_Wrong_AreAllNamed()
    {
        var match = new Wire.RouteMatch { Prefix = "/" };
        match.Headers.Add(new Wire.HeaderMatcher { Name = "x" });
        match.Headers.Add(new Wire.HeaderMatcher { PresentMatch = true });
        match.Headers.Add(new Wire.HeaderMatcher { Name = "x", RangeMatch = new Int64Range { Start = 5, End = 1 } });
        match.Headers.Add(new Wire.HeaderMatcher { Name = "x", PrefixMatch = "" });
        match.Headers.Add(new Wire.HeaderMatcher { Name = "x", StringMatch = new() });
        const string Path = $"{Route0}.match.headers";
        Invalid(With(match), $"{Path}[0]", $"{Path}[1].name", $"{Path}[2].range_match", $"{Path}[3].prefix_match", $"{Path}[4].string_match");
    }

    [Fact]
    public void Query_Conditions_AreRead()
    {
        var match = new Wire.RouteMatch { Prefix = "/" };
        match.QueryParameters.Add(new Wire.QueryParameterMatcher { Name = "q", StringMatch = new Protos.Envoy.Matcher.StringMatcher { Exact = "1" } });
        Assert.Equal("q", Assert.Single(Only(match).Match.QueryParameters).Name);
    }

    [Theory]
    [InlineData(25u, (int)FractionalPercent.Types.DenominatorType.Hundred, 250_000)]
    [InlineData(25u, (int)FractionalPercent.Types.DenominatorType.TenThousand, 2_500)]
    [InlineData(25u, (int)FractionalPercent.Types.DenominatorType.Million, 25)]
    [InlineData(uint.MaxValue, (int)FractionalPercent.Types.DenominatorType.Hundred, 1_000_000)]
    public void Fraction_AnyDenominator_IsPerMillion(uint numerator, int denominator, int expected)
    {
        var fraction = new RuntimeFractionalPercent { DefaultValue = new FractionalPercent { Numerator = numerator, Denominator = (FractionalPercent.Types.DenominatorType)denominator } };
        Assert.Equal(expected, Only(new Wire.RouteMatch { Prefix = "/", RuntimeFraction = fraction }).Match.FractionPerMillion);
    }

    [Fact]
    [Trait("gRFC", "A28")]
    public void Weights_ZeroIsSkipped_LargeOnesKeepTheirShares()
    {
        Assert.Equal([new WeightedCluster("a", 90), new WeightedCluster("b", 10)], Weighted(("a", 90), ("none", 0), ("b", 10)));
        Assert.Equal([new WeightedCluster("a", 750_000_000), new WeightedCluster("b", 250_000_000)], Weighted(("a", 3_000_000_000), ("b", 1_000_000_000)));

        static IReadOnlyList<WeightedCluster> Weighted(params (string, uint)[] clusters) => Forward(With(Clusters(clusters))).Clusters;
    }

    [Fact]
    public void Weights_SumOfZeroOrTooMuch_IsRefused()
    {
        Invalid(With(Clusters(("a", 0))), $"{Route0}.route.weighted_clusters.clusters");
        Invalid(With(Clusters(("a", uint.MaxValue), ("b", 1))), $"{Route0}.route.weighted_clusters.clusters");
        Invalid(With(Clusters(("", 1))), $"{Route0}.route.weighted_clusters.clusters[0].name");
        Invalid(With(new Wire.RouteAction { Cluster = "" }), $"{Route0}.route.cluster");
    }

    [Fact]
    public void Action_UnknownClusterSpecifier_RouteIsIgnored()
    {
        Assert.Empty(Valid<RouteConfiguration>(With(new Wire.RouteAction { ClusterHeader = "x" })).VirtualHosts[0].Routes);
        Assert.Empty(Valid<RouteConfiguration>(With(new Wire.RouteAction())).VirtualHosts[0].Routes);
    }

    [Fact]
    public void Action_Others_AreRead()
    {
        Assert.Equal(new RouteAction.DirectResponse(503, "no"), Act(r => r.DirectResponse = new Wire.DirectResponseAction { Status = 503, Body = new DataSource { InlineString = "no" } }));
        Assert.Equal(new RouteAction.Redirect(301), Act(r => r.Redirect = new Wire.RedirectAction()));
        Assert.IsType<RouteAction.NotForwarding>(Act(r => r.NonForwardingAction = new Wire.NonForwardingAction()));
        Assert.IsType<RouteAction.NotForwarding>(Act(_ => { }));
        var given = With(new Wire.RouteMatch { Prefix = "/" });
        given.VirtualHosts[0].Routes[0].DirectResponse = new Wire.DirectResponseAction { Status = 42, Body = new DataSource { Filename = "/etc/passwd" } };
        Invalid(given, $"{Route0}.direct_response.status", $"{Route0}.direct_response.body.filename");

        static RouteAction Act(Action<Wire.Route> set)
        {
            var route = new Wire.Route { Match = new Wire.RouteMatch { Prefix = "/" } };
            set(route);
            return Valid<RouteConfiguration>(new Wire.RouteConfiguration { Name = "r", VirtualHosts = { new Wire.VirtualHost { Domains = { "*" }, Routes = { route } } } })
                .VirtualHosts[0].Routes[0].Action;
        }
    }

    [Theory]
    [Trait("gRFC", "A31")]
    [InlineData(3, 2, 1, 3)]
    [InlineData(0, 2, 1, 2)]
    [InlineData(null, 0, 1, null)]
    [InlineData(null, null, 1, 1)]
    [InlineData(null, null, null, null)]
    public void Timeout_FirstThatIsSet_Wins(int? timeout, int? header, int? stream, int? expected)
    {
        var action = new Wire.RouteAction
        {
            Cluster = "c",
            Timeout = Seconds(timeout),
            MaxStreamDuration = new Wire.RouteAction.Types.MaxStreamDuration { GrpcTimeoutHeaderMax = Seconds(header), MaxStreamDuration_ = Seconds(stream) },
        };
        Assert.Equal(expected, (int?)Forward(With(action)).Timeout?.TotalSeconds);
    }

    [Fact]
    public void Timeout_OutOfRange_IsRefused() =>
        Invalid(With(new Wire.RouteAction { Cluster = "c", Timeout = new Duration { Seconds = -1 }, MaxStreamDuration = new() { MaxStreamDuration_ = new Duration { Seconds = long.MaxValue } } }), $"{Route0}.route.timeout", $"{Route0}.route.max_stream_duration.max_stream_duration");

    [Fact]
    [Trait("gRFC", "A44")]
    public void Retry_Defaults_AreEnvoys()
    {
        var retry = Retry(new Wire.RetryPolicy { RetryOn = "5xx" })!;
        Assert.Equal((RetryOn.ServerError, 1, null), (retry.On, retry.NumRetries, retry.PerTryTimeout));
        Assert.Equal((TimeSpan.FromMilliseconds(25), TimeSpan.FromMilliseconds(250)), (retry.BaseInterval, retry.MaxInterval));
    }

    [Fact]
    public void Retry_AllWords_AreKnownOthersIgnored()
    {
        var all = "5xx, gateway-error,reset,connect-failure,refused-stream,Retriable-Status-Codes,cancelled,deadline-exceeded,internal,resource-exhausted,unavailable,,odd";
        Assert.Equal((RetryOn)2047, Retry(new Wire.RetryPolicy { RetryOn = all })!.On);
        var unknown = Retry(new Wire.RetryPolicy { RetryOn = "envoy-ratelimited" })!;
        Assert.Equal((RetryOn.None, 0), (unknown.On, unknown.NumRetries));
    }

    [Fact]
    public void Retry_Values_AreReadAndCapped()
    {
        var given = new Wire.RetryPolicy { RetryOn = "reset", NumRetries = 100, PerTryTimeout = Seconds(2), RetriableStatusCodes = { 409 } };
        given.RetryBackOff = new Wire.RetryPolicy.Types.RetryBackOff { BaseInterval = new Duration { Nanos = 1 } };
        var retry = Retry(given)!;
        Assert.Equal((4, TimeSpan.FromSeconds(2), 409), (retry.NumRetries, retry.PerTryTimeout, retry.RetriableStatusCodes.Single()));
        Assert.Equal((TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(10)), (retry.BaseInterval, retry.MaxInterval));
    }

    [Fact]
    public void Retry_Wrong_IsAllNamed()
    {
        var given = new Wire.RetryPolicy { RetryOn = "reset", NumRetries = 0, RetriableStatusCodes = { 7 } };
        given.RetryBackOff = new Wire.RetryPolicy.Types.RetryBackOff { BaseInterval = Seconds(2), MaxInterval = Seconds(1) };
        const string Path = $"{Route0}.route.retry_policy";
        Invalid(With(new Wire.RouteAction { Cluster = "c", RetryPolicy = given }), $"{Path}.num_retries", $"{Path}.retriable_status_codes[0]", $"{Path}.retry_back_off.max_interval");
        given = new Wire.RetryPolicy { RetryOn = "reset", RetryBackOff = new() };
        Invalid(With(new Wire.RouteAction { Cluster = "c", RetryPolicy = given }), $"{Path}.retry_back_off.base_interval");
    }

    [Fact]
    public void Retry_OfTheRoute_ReplacesThatOfTheHost()
    {
        var given = With(new Wire.RouteAction { Cluster = "c" });
        given.VirtualHosts[0].RetryPolicy = new Wire.RetryPolicy { RetryOn = "reset" };
        Assert.Equal(RetryOn.Reset, Forward(given).Retry!.On);
        given.VirtualHosts[0].Routes[0].Route_.RetryPolicy = new Wire.RetryPolicy { RetryOn = "internal" };
        Assert.Equal(RetryOn.GrpcInternal, Forward(given).Retry!.On);
    }

    [Fact]
    [Trait("gRFC", "A39")]
    public void Overrides_UnknownType_IsRefusedUnlessOptional()
    {
        var given = XdsResources.Routes("r", "c");
        var odd = new Any { TypeUrl = "type.googleapis.com/odd.Filter" };
        given.VirtualHosts[0].TypedPerFilterConfig["odd"] = odd;
        Invalid(given, "virtual_hosts[0].typed_per_filter_config[\"odd\"]");
        given.VirtualHosts[0].TypedPerFilterConfig["odd"] = Any.Pack(new Wire.FilterConfig { Config = odd, IsOptional = true });
        Valid<RouteConfiguration>(given);
        given.VirtualHosts[0].TypedPerFilterConfig["odd"] = Any.Pack(new Wire.FilterConfig { Config = odd });
        Invalid(given, "virtual_hosts[0].typed_per_filter_config[\"odd\"]");
    }

    private static Duration? Seconds(int? seconds) => seconds is null ? null : new Duration { Seconds = seconds.Value };

    private static RetryPolicy? Retry(Wire.RetryPolicy given) => Forward(With(new Wire.RouteAction { Cluster = "c", RetryPolicy = given })).Retry;

    private static Route Only(Wire.RouteMatch match) => Assert.Single(Valid<RouteConfiguration>(With(match)).VirtualHosts[0].Routes);

    private static RouteAction.Forward Forward(Wire.RouteConfiguration given) =>
        Assert.IsType<RouteAction.Forward>(Assert.Single(Valid<RouteConfiguration>(given).VirtualHosts[0].Routes).Action);

    private static Wire.RouteAction Clusters(params (string Name, uint Weight)[] clusters)
    {
        var action = new Wire.RouteAction { WeightedClusters = new Wire.WeightedCluster() };
        action.WeightedClusters.Clusters.Add(clusters.Select(c => new Wire.WeightedCluster.Types.ClusterWeight { Name = c.Name, Weight = c.Weight }));
        return action;
    }

    private static Wire.RouteConfiguration With(Wire.RouteMatch? match)
    {
        var routes = XdsResources.Routes("r", "c");
        routes.VirtualHosts[0].Routes[0].Match = match;
        return routes;
    }

    private static Wire.RouteConfiguration With(Wire.RouteAction action)
    {
        var routes = XdsResources.Routes("r", "c");
        routes.VirtualHosts[0].Routes[0].Route_ = action;
        return routes;
    }
}
