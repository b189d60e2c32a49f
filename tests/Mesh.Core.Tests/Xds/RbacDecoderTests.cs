using CsCheck;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Mesh.Config;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Filters;
using Mesh.Protos.Envoy.Matcher;
using Mesh.Traffic;
using Mesh.Xds.Decoding;
using Xunit;
using static Mesh.Xds.DecodeAssert;
using Network = Mesh.Protos.Envoy.NetworkFilters;
using Rbac = Mesh.Protos.Envoy.Rbac;
using HeaderMatcher = Mesh.Protos.Envoy.Route.HeaderMatcher;
using RegexMatcher = Mesh.Protos.Envoy.Matcher.RegexMatcher;
using Text = Mesh.Protos.Envoy.Matcher.StringMatcher;
using ValueMatcher = Mesh.Protos.Envoy.Matcher.ValueMatcher;
using Wire = Mesh.Protos.Envoy.Listener;

namespace Mesh.Xds;

public sealed class RbacDecoderTests
{
    private const string Http = "filter_chains[0].filters[0].typed_config";
    private const string Filter = Http + ".http_filters[0].typed_config";
    private static readonly Rbac.Permission Anything = new() { Any = true };
    private static readonly Rbac.Principal Anybody = new() { Any = true };

    [Fact]
    [Trait("gRFC", "A41")]
    public void Http_RulesAndShadow_AreReadSortedByName()
    {
        var chain = Assert.Single(Valid<Listener>(With(new RBAC
        {
            Rules = Rules(Rbac.RBAC.Types.Action.Deny, ("b", Anything, Anybody), ("a", Anything, Anybody), ("B", Anything, Anybody)),
            ShadowRules = new Rbac.RBAC(),
        })).FilterChains);

        var filter = Assert.IsType<RbacFilter>(Assert.Single(chain.Http!.Filters).Settings);
        Assert.Equal((RbacAction.Deny, RbacAction.Allow), (filter.Rules!.Action, filter.ShadowRules!.Action));
        Assert.Equal(["B", "a", "b"], filter.Rules.Policies.Select(p => p.Name));
        Assert.Empty(filter.ShadowRules.Policies);
        Assert.False(chain.IsOpaque);
    }

    [Fact]
    [Trait("gRFC", "A41")]
    public void Http_NoRules_StandsIdleForRoutesToOverride() =>
        Assert.Equal(RbacFilter.None, Assert.Single(Assert.Single(Valid<Listener>(With(new RBAC())).FilterChains).Http!.Filters).Settings);

    [Fact]
    [Trait("gRFC", "A41")]
    public void Permissions_AllForms_AreRead()
    {
        RbacCondition[] read = [.. Decode(
            [
                new() { AndRules = new() { Rules = { Anything } } }, new() { OrRules = new() { Rules = { Anything, Anything } } }, new() { NotRule = Anything },
                new() { Header = new HeaderMatcher { Name = "X-A", ExactMatch = "1", InvertMatch = true } }, new() { UrlPath = new PathMatcher { Path = new Text { Prefix = "/a", IgnoreCase = true } } },
                new() { DestinationIp = new CidrRange { AddressPrefix = "fd00::1", PrefixLen = 8 } }, new() { DestinationPort = 0 }, new() { DestinationPortRange = new() { Start = 80, End = 90 } },
                new() { RequestedServerName = new Text { Exact = "a" } },
                new() { Metadata = new MetadataMatcher { Filter = "envoy.filters.http.jwt_authn", Path = { Segment("p"), Segment("sub") }, Value = new ValueMatcher { StringMatch = new Text { Exact = "a" } } } },
            ],
            []).Permissions];

        Assert.Equal([new RbacCondition.Always()], Assert.IsType<RbacCondition.AllOf>(read[0]).Conditions);
        Assert.Equal(2, Assert.IsType<RbacCondition.AnyOf>(read[1]).Conditions.Count);
        Assert.Equal(new RbacCondition.Not(new RbacCondition.Always()), read[2]);
        Assert.Equal(("x-a", true), (Assert.IsType<RbacCondition.Header>(read[3]).Matcher.Name, ((RbacCondition.Header)read[3]).Matcher.Invert));
        Assert.Equal((StringMatchKind.Prefix, "/a", true), (Path(read[4]).Kind, Path(read[4]).Text, Path(read[4]).IgnoreCase));
        Assert.Equal("fd00::/8", Assert.IsType<RbacCondition.Destination>(read[5]).Range.ToString());
        Assert.Equal(new RbacCondition.DestinationPort(0, 0), read[6]);
        Assert.Equal(new RbacCondition.DestinationPort(80, 89), read[7]);
        Assert.Equal("a", Assert.IsType<RbacCondition.ServerName>(read[8]).Matcher.Text);
        var metadata = Assert.IsType<RbacCondition.Metadata>(read[9]);
        Assert.Equal(["p", "sub"], metadata.Segments);
        Assert.Equal("a", Assert.IsType<Config.ValueMatcher.Text>(metadata.Value).Matcher.Text);

        static Mesh.Traffic.StringMatcher Path(RbacCondition condition) => Assert.IsType<RbacCondition.Path>(condition).Matcher;
    }

    [Fact]
    [Trait("gRFC", "A41")]
    public void Principals_AllForms_AreRead()
    {
        var here = new CidrRange { AddressPrefix = "10.1.2.3", PrefixLen = 8 };
        RbacCondition[] read = [.. Decode(
            [],
            [
                new() { AndIds = new() { Ids = { Anybody } } }, new() { OrIds = new() { Ids = { Anybody, Anybody } } }, new() { NotId = Anybody },
                new() { Authenticated = new() }, new() { Authenticated = new() { PrincipalName = new Text { Suffix = "/sa/web" } } },
                new() { SourceIp = here }, new() { DirectRemoteIp = here }, new() { RemoteIp = here },
                new() { Header = new HeaderMatcher { Name = "x-a", PresentMatch = true } }, new() { UrlPath = new PathMatcher { Path = new Text { Exact = "/a" } } },
                new() { Metadata = new MetadataMatcher { Filter = "f", Path = { Segment("p") }, Invert = true, Value = new ValueMatcher { OrMatch = new() { ValueMatchers = { new ValueMatcher { BoolMatch = true }, new ValueMatcher { ListMatch = new() { OneOf = new ValueMatcher { PresentMatch = true } } } } } } } },
            ]).Principals];

        Assert.Equal([new RbacCondition.Always()], Assert.IsType<RbacCondition.AllOf>(read[0]).Conditions);
        Assert.Equal(2, Assert.IsType<RbacCondition.AnyOf>(read[1]).Conditions.Count);
        Assert.Equal(new RbacCondition.Not(new RbacCondition.Always()), read[2]);
        Assert.Equal(new RbacCondition.Authenticated(null), read[3]);
        Assert.Equal("/sa/web", Assert.IsType<RbacCondition.Authenticated>(read[4]).Name!.Text);
        Assert.All(read[5..8], c => Assert.Equal("10.0.0.0/8", Assert.IsType<RbacCondition.Source>(c).Range.ToString()));
        Assert.IsType<RbacCondition.Header>(read[8]);
        Assert.IsType<RbacCondition.Path>(read[9]);
        var metadata = Assert.IsType<RbacCondition.Metadata>(read[10]);
        Assert.True(metadata.Invert);
        var any = Assert.IsType<Config.ValueMatcher.AnyOf>(metadata.Value).Matchers;
        Assert.Equal([new Config.ValueMatcher.Boolean(true), new Config.ValueMatcher.OneOf(new Config.ValueMatcher.Present())], any);
    }

    [Fact]
    [Trait("gRFC", "A41")]
    public void Policies_Wrong_EveryErrorIsNamed()
    {
        var rules = Rules((Rbac.RBAC.Types.Action)7, ("a", Anything, Anybody));
        rules.Policies["a"].Condition = new Any();
        rules.Policies["a"].CheckedCondition = new Any();
        rules.Policies["none"] = new Rbac.Policy();
        rules.Policies[""] = new Rbac.Policy { Permissions = { Anything }, Principals = { Anybody } };

        Invalid(
            With(new RBAC { Rules = rules }),
            Filter + ".rules.action", Filter + ".rules.policies[\"a\"].condition", Filter + ".rules.policies[\"a\"].checked_condition",
            Filter + ".rules.policies[\"none\"].permissions", Filter + ".rules.policies[\"none\"].principals", Filter + ".rules.policies[\"\"]");
    }

    public static TheoryData<string, string> WrongPermissions => new()
    {
        { "{}", "" }, { """{"any":false}""", ".any" }, { """{"andRules":{}}""", ".and_rules.rules" }, { """{"orRules":{"rules":[{}]}}""", ".or_rules.rules[0]" }, { """{"notRule":{"any":false}}""", ".not_rule.any" },
        { """{"header":{"name":"grpc-timeout","presentMatch":true}}""", ".header.name" }, { """{"header":{"name":"GRPC-x","presentMatch":true}}""", ".header.name" },
        { """{"header":{"name":":scheme","exactMatch":"https"}}""", ".header.name" }, { """{"header":{"name":"a"}}""", ".header" }, { """{"header":{"name":"a","safeRegexMatch":{"regex":"(?=a)"}}}""", ".header.safe_regex_match.regex" },
        { """{"urlPath":{}}""", ".url_path.path" }, { """{"urlPath":{"path":{"prefix":""}}}""", ".url_path.path.prefix" }, { """{"urlPath":{"path":{"safeRegex":{"regex":"(((a{100}){100}){100})"}}}}""", ".url_path.path.safe_regex.regex" },
        { """{"destinationIp":{"addressPrefix":"10.0.0","prefixLen":8}}""", ".destination_ip" }, { """{"destinationIp":{"addressPrefix":"10.0.0.0","prefixLen":33}}""", ".destination_ip" },
        { """{"destinationIp":{"addressPrefix":"host","prefixLen":8}}""", ".destination_ip" }, { """{"destinationIp":{"addressPrefix":"fe80::1%eth0","prefixLen":64}}""", ".destination_ip" },
        { """{"destinationIp":{"addressPrefix":"::ffff:1.2.3.4","prefixLen":8}}""", ".destination_ip" }, { """{"destinationPort":65536}""", ".destination_port" },
        { """{"destinationPortRange":{"start":80,"end":80}}""", ".destination_port_range" }, { """{"destinationPortRange":{"start":-1,"end":80}}""", ".destination_port_range" },
        { """{"requestedServerName":{}}""", ".requested_server_name" }, { """{"metadata":{"path":[{"key":"a"}],"value":{"boolMatch":true}}}""", ".metadata.filter" },
        { """{"metadata":{"filter":"f","value":{"boolMatch":true}}}""", ".metadata.path" }, { """{"metadata":{"filter":"f","path":[{}],"value":{"boolMatch":true}}}""", ".metadata.path[0].key" },
        { """{"metadata":{"filter":"f","path":[{"key":"a"}]}}""", ".metadata.value" }, { """{"metadata":{"filter":"f","path":[{"key":"a"}],"value":{"presentMatch":false}}}""", ".metadata.value.present_match" },
        { """{"metadata":{"filter":"f","path":[{"key":"a"}],"value":{"listMatch":{}}}}""", ".metadata.value.list_match.one_of" },
        { """{"metadata":{"filter":"f","path":[{"key":"a"}],"value":{"orMatch":{"valueMatchers":[{"boolMatch":true}]}}}}""", ".metadata.value.or_match.value_matchers" },
    };

    [Theory]
    [MemberData(nameof(WrongPermissions))]
    [Trait("gRFC", "A41")]
    public void Permission_Wrong_IsNamed(string json, string path)
    {
        var permission = Rbac.Permission.Parser.ParseJson(json);
        Invalid(With(new RBAC { Rules = Rules(default, ("a", permission, Anybody)) }), Filter + ".rules.policies[\"a\"].permissions[0]" + path);
    }

    [Theory]
    [InlineData("{}", "")]
    [InlineData("""{"any":false}""", ".any")]
    [InlineData("""{"andIds":{}}""", ".and_ids.ids")]
    [InlineData("""{"orIds":{}}""", ".or_ids.ids")]
    [InlineData("""{"authenticated":{"principalName":{}}}""", ".authenticated.principal_name")]
    [InlineData("""{"sourceIp":{"addressPrefix":"","prefixLen":8}}""", ".source_ip")]
    [InlineData("""{"directRemoteIp":{"addressPrefix":"[::1]","prefixLen":128}}""", ".direct_remote_ip")]
    [InlineData("""{"remoteIp":{"addressPrefix":"::1","prefixLen":129}}""", ".remote_ip")]
    [InlineData("""{"header":{"name":"grpc-status","presentMatch":true}}""", ".header.name")]
    [Trait("gRFC", "A41")]
    public void Principal_Wrong_IsNamed(string json, string path)
    {
        var principal = Rbac.Principal.Parser.ParseJson(json);
        Invalid(With(new RBAC { Rules = Rules(default, ("a", Anything, principal)) }), Filter + ".rules.policies[\"a\"].principals[0]" + path);
    }

    [Fact]
    public void Regexes_TooManyOrTooLongTogether_AreRefused()
    {
        var many = Rules(default, ("a", Anything, Anybody));
        many.Policies["a"].Permissions.Add(Enumerable.Range(0, RbacConditionDecoder.MaxRegexes + 1).Select(i => Regex("a")));
        Assert.Contains("is regular expression number 1025", Assert.Single(Errors(With(new RBAC { Rules = many }))).Problem, StringComparison.Ordinal);
        var large = Rules(default, ("a", Anything, Anybody));
        large.Policies["a"].Permissions.Add(Enumerable.Range(0, 35).Select(i => Regex(new string('a', 1_900))));
        Assert.Single(Errors(With(new RBAC { Rules = large })));
        Assert.Contains("regex", Assert.Single(Errors(With(new RBAC { Rules = Rules(default, ("a", Regex(new string('a', 5_000)), Anybody)) }))).Path, StringComparison.Ordinal);

        static Rbac.Permission Regex(string text) => new() { UrlPath = new PathMatcher { Path = new Text { SafeRegex = new RegexMatcher { Regex = text } } } };
    }

    [Fact]
    public void Conditions_TooMany_AreRefusedOnce()
    {
        var rules = Rules(default, ("a", Anything, Anybody));
        rules.Policies["a"].Permissions.Add(Enumerable.Repeat(Anything, RbacConditionDecoder.MaxConditions + 10));
        Assert.Equal(Filter, Assert.Single(Errors(With(new RBAC { Rules = rules }))).Path);
    }

    [Fact]
    [Trait("gRFC", "A41")]
    public void PerRoute_ReplacesTheFilter_AndWithoutRbacTurnsItOff()
    {
        var given = With(new RBAC { Rules = Rules(Rbac.RBAC.Types.Action.Deny, ("all", Anything, Anybody)) });
        Change(given, manager =>
        {
            manager.RouteConfig.VirtualHosts[0].TypedPerFilterConfig["rbac"] = Any.Pack(new RBACPerRoute());
            manager.RouteConfig.VirtualHosts[0].Routes[0].TypedPerFilterConfig["rbac"] = Any.Pack(new RBACPerRoute { Rbac = new RBAC { Rules = new Rbac.RBAC() } });
        });

        var http = Assert.Single(Valid<Listener>(given).FilterChains).Http!;

        var (host, filter) = (http.Inline!.VirtualHosts[0], http.Filters[0]);
        Assert.Null(FilterOverrides.Effective(filter, host.FilterOverrides));
        var route = Assert.IsType<RbacFilter>(FilterOverrides.Effective(filter, host.Routes[0].FilterOverrides, host.FilterOverrides));
        Assert.Equal(RbacAction.Allow, route.Rules!.Action);
        Assert.Empty(route.Rules.Policies);
    }

    [Fact]
    [Trait("gRFC", "A41")]
    public void PerRoute_WrongOrOfTheFiltersType_IsRefused()
    {
        const string overrides = Http + ".route_config.virtual_hosts[0].typed_per_filter_config[\"rbac\"]";
        var given = With(new RBAC());
        Change(given, m => m.RouteConfig.VirtualHosts[0].TypedPerFilterConfig["rbac"] = Any.Pack(new RBAC()));
        Invalid(given, overrides);
        Change(given, m => m.RouteConfig.VirtualHosts[0].TypedPerFilterConfig["rbac"] = Any.Pack(new RBACPerRoute { Rbac = new RBAC { Rules = Rules(default, ("a", new Rbac.Permission(), Anybody)) } }));
        Invalid(given, overrides + ".rbac.rules.policies[\"a\"].permissions[0]");
        var perRoute = With(new RBAC());
        Change(perRoute, m => m.HttpFilters[0].TypedConfig = Any.Pack(new RBACPerRoute()));
        Invalid(perRoute, Filter);
    }

    [Fact]
    public void Network_RulesBeforeTcpProxy_AreAnOpaqueChain()
    {
        var given = Opaque(new Network.RBAC { StatPrefix = "a", Rules = Rules(Rbac.RBAC.Types.Action.Deny, ("a", Anything, Anybody)) }, new Network.RBAC { StatPrefix = "b", Rules = new Rbac.RBAC() });

        var chain = Assert.Single(Valid<Listener>(given).FilterChains);

        Assert.True(chain.IsOpaque);
        Assert.Null(chain.Http);
        Assert.Equal([RbacAction.Deny, RbacAction.Allow], chain.ConnectionRules.Select(r => r.Rules!.Action));
    }

    [Fact]
    public void Network_RulesBeforeHttp_AreRead()
    {
        var given = With(new RBAC());
        given.FilterChains[0].Filters.Insert(0, new Wire.Filter { Name = "rules", TypedConfig = Any.Pack(new Network.RBAC { Rules = new Rbac.RBAC() }) });

        var chain = Assert.Single(Valid<Listener>(given).FilterChains);

        Assert.False(chain.IsOpaque);
        Assert.NotNull(chain.Http);
        Assert.Single(chain.ConnectionRules);
    }

    [Fact]
    public void Network_Wrong_EveryErrorIsNamed()
    {
        var header = new Rbac.Permission { Header = new HeaderMatcher { Name = "a", PresentMatch = true } };
        var claim = new Rbac.Principal { Metadata = new MetadataMatcher { Filter = "f", Path = { Segment("a") }, Value = new ValueMatcher { BoolMatch = true } } };
        var given = Opaque(new Network.RBAC { Rules = Rules(default, ("a", header, claim)) });
        const string policy = "filter_chains[0].filters[0].typed_config.rules.policies[\"a\"]";
        Invalid(given, policy + ".permissions[0].header", policy + ".principals[0].metadata");
        given.FilterChains[0].Filters[0].TypedConfig = Any.Pack(new Router());
        Invalid(given, "filter_chains[0].filters[0].typed_config");
        given.FilterChains[0].Filters.RemoveAt(1);
        Invalid(given, "filter_chains[0].filters[0].typed_config");
    }

    [Fact]
    public void Client_ListenerWithRbac_IsRefused()
    {
        var manager = XdsResources.Manager("r");
        manager.HttpFilters.Insert(0, new Protos.Envoy.Hcm.HttpFilter { Name = "rbac", TypedConfig = Any.Pack(new RBAC()) });
        Invalid(new Wire.Listener { Name = "l", ApiListener = new Wire.ApiListener { ApiListener_ = Any.Pack(manager) } }, "api_listener.http_filters[0].typed_config");
    }

    [Fact]
    public void Decode_MutatedRules_NeverThrow()
    {
        var seed = new RBAC
        {
            Rules = Rules(
                Rbac.RBAC.Types.Action.Deny,
                ("one", new Rbac.Permission { AndRules = new() { Rules = { new Rbac.Permission { Header = new HeaderMatcher { Name = "x-a", SafeRegexMatch = new RegexMatcher { Regex = "(ab?){2,9}c" } } }, new Rbac.Permission { DestinationPort = 80 } } } },
                    new Rbac.Principal { NotId = new Rbac.Principal { SourceIp = new CidrRange { AddressPrefix = "10.1.2.3", PrefixLen = 8 } } }),
                ("two", new Rbac.Permission { UrlPath = new PathMatcher { Path = new Text { Prefix = "/admin/" } } },
                    new Rbac.Principal { Metadata = new MetadataMatcher { Filter = "f", Path = { Segment("p"), Segment("q") }, Value = new ValueMatcher { ListMatch = new() { OneOf = new ValueMatcher { StringMatch = new Text { Exact = "z" } } } } } })),
        };
        // Only the filter's bytes are changed: what is around them stays valid.
        var bytes = seed.ToByteArray();
        Gen.Select(Gen.Int[0, 10_000], Gen.Byte).Array[1, 6].Sample(
            changes =>
            {
                var changed = (byte[])bytes.Clone();
                foreach (var (at, value) in changes)
                {
                    changed[at % changed.Length] = value;
                }

                var given = With(seed);
                Change(given, m => m.HttpFilters[0].TypedConfig.Value = ByteString.CopyFrom(changed));
                var result = ResourceDecoder.Decode(XdsTypes.Listener, given.ToByteString());
                Assert.Equal(result.IsValid, result.Errors.Count == 0);
            },
            iter: 1_000);
    }

    private static MetadataMatcher.Types.PathSegment Segment(string key) => new() { Key = key };

    private static Rbac.RBAC Rules(Rbac.RBAC.Types.Action action, params (string Name, Rbac.Permission What, Rbac.Principal Who)[] policies)
    {
        var rules = new Rbac.RBAC { Action = action };
        foreach (var (name, what, who) in policies)
        {
            rules.Policies[name] = new Rbac.Policy { Permissions = { what }, Principals = { who } };
        }

        return rules;
    }

    private static RbacPolicy Decode(Rbac.Permission[] permissions, Rbac.Principal[] principals)
    {
        var rules = Rules(default);
        rules.Policies["a"] = new Rbac.Policy { Permissions = { permissions.Length == 0 ? [Anything] : permissions }, Principals = { principals.Length == 0 ? [Anybody] : principals } };
        var chain = Assert.Single(Valid<Listener>(With(new RBAC { Rules = rules })).FilterChains);
        return Assert.Single(Assert.IsType<RbacFilter>(chain.Http!.Filters[0].Settings).Rules!.Policies);
    }

    private static IReadOnlyList<ConfigError> Errors(Wire.Listener listener) => ResourceDecoder.Decode(XdsTypes.Listener, listener.ToByteString()).Errors;

    private static Wire.Listener With(RBAC filter)
    {
        var listener = ListenerDecoderTests.Inbound("in");
        listener.DefaultFilterChain = null;
        Change(listener, manager => manager.HttpFilters.Insert(0, new Protos.Envoy.Hcm.HttpFilter { Name = "rbac", TypedConfig = Any.Pack(filter) }));
        return listener;
    }

    private static void Change(Wire.Listener listener, Action<Protos.Envoy.Hcm.HttpConnectionManager> change)
    {
        var filter = listener.FilterChains[0].Filters[^1];
        var manager = filter.TypedConfig.Unpack<Protos.Envoy.Hcm.HttpConnectionManager>();
        change(manager);
        filter.TypedConfig = Any.Pack(manager);
    }

    private static Wire.Listener Opaque(params Network.RBAC[] rules)
    {
        var listener = ListenerDecoderTests.Inbound("in");
        listener.DefaultFilterChain = null;
        listener.FilterChains[0].Filters.Clear();
        listener.FilterChains[0].Filters.Add(rules.Select(r => new Wire.Filter { Name = "rules", TypedConfig = Any.Pack(r) }));
        listener.FilterChains[0].Filters.Add(new Wire.Filter { Name = "tcp", TypedConfig = Any.Pack(new Network.TcpProxy { StatPrefix = "in", Cluster = "in" }) });
        return listener;
    }
}
