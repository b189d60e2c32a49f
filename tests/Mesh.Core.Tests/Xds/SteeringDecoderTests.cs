using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Mesh.Config;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Matcher;
using Mesh.Protos.Envoy.Path;
using Mesh.Protos.Envoy.Type;
using Xunit;
using static Mesh.Xds.DecodeAssert;
using Wire = Mesh.Protos.Envoy.Route;

namespace Mesh.Xds;

/// <summary>Templates, rewrites, redirects, mirrors and header changes of routes.</summary>
public sealed class SteeringDecoderTests
{
    private const string Route0 = "virtual_hosts[0].routes[0]";

    [Fact]
    public void Template_MatchAndRewrite_AreRead()
    {
        var given = Routes(new Wire.RouteAction { Cluster = "c", PathRewritePolicy = Typed(new UriTemplateRewriteConfig { PathTemplateRewrite = "/v2/{id}" }) });
        given.VirtualHosts[0].Routes[0].Match = new Wire.RouteMatch { PathMatchPolicy = Typed(new UriTemplateMatchConfig { PathTemplate = "/u/{id}" }) };

        var route = Only(given);

        Assert.Equal("/u/{id}", route.Match.Template!.Text);
        Assert.Null(route.Match.Path);
        Assert.Equal(new PathRewrite.Template("/v2/{id}"), Forward(given).PathRewrite);
    }

    [Theory]
    [InlineData("/v2/{no}")]
    [InlineData("/v2/{id")]
    [InlineData("/v2/id}")]
    [InlineData("/v2/*")]
    [InlineData("v2")]
    [InlineData("")]
    public void Template_BadRewrite_IsRefused(string rewrite)
    {
        var given = Routes(new Wire.RouteAction { Cluster = "c", PathRewritePolicy = Typed(new UriTemplateRewriteConfig { PathTemplateRewrite = rewrite }) });
        given.VirtualHosts[0].Routes[0].Match = new Wire.RouteMatch { PathMatchPolicy = Typed(new UriTemplateMatchConfig { PathTemplate = "/u/{id}" }) };
        Invalid(given, $"{Route0}.route.path_rewrite_policy.typed_config.path_template_rewrite");
    }

    [Fact]
    public void Template_MalformedUnknownOrWithoutItsMatch_IsRefused()
    {
        var given = Routes(new Wire.RouteAction { Cluster = "c", PathRewritePolicy = Typed(new UriTemplateRewriteConfig { PathTemplateRewrite = "/x" }) });
        Invalid(given, $"{Route0}.route.path_rewrite_policy.typed_config.path_template_rewrite");
        given = Routes(new Wire.RouteAction { Cluster = "c" });
        given.VirtualHosts[0].Routes[0].Match = new Wire.RouteMatch { PathMatchPolicy = Typed(new UriTemplateMatchConfig { PathTemplate = "/{a" }) };
        Invalid(given, $"{Route0}.match.path_match_policy.typed_config.path_template");
        given.VirtualHosts[0].Routes[0].Match = new Wire.RouteMatch { PathMatchPolicy = Typed(new Empty()) };
        Invalid(given, $"{Route0}.match.path_match_policy.typed_config");
    }

    [Fact]
    public void Rewrites_EachForm_IsRead_AndOnlyOne()
    {
        Assert.Equal(new PathRewrite.Prefix("/x"), Forward(Routes(new Wire.RouteAction { Cluster = "c", PrefixRewrite = "/x" })).PathRewrite);
        var regex = new RegexMatchAndSubstitute { Pattern = new RegexMatcher { Regex = "^/a/(.*)$" }, Substitution = "/b/\\1" };
        var pattern = Assert.IsType<PathRewrite.Pattern>(Forward(Routes(new Wire.RouteAction { Cluster = "c", RegexRewrite = regex })).PathRewrite);
        Assert.Equal("/b/z", pattern.Rewrite.Expression.Replace("/a/z", pattern.Rewrite.Replacement));
        Invalid(Routes(new Wire.RouteAction { Cluster = "c", RegexRewrite = regex, PrefixRewrite = "/x" }), $"{Route0}.route");
        Invalid(Routes(new Wire.RouteAction { Cluster = "c", PrefixRewrite = "/x y" }), $"{Route0}.route.prefix_rewrite");
        Invalid(Routes(new Wire.RouteAction { Cluster = "c", RegexRewrite = new RegexMatchAndSubstitute() }), $"{Route0}.route.regex_rewrite.pattern");
    }

    [Theory]
    [InlineData("example.com", true)]
    [InlineData("example.com:8080", true)]
    [InlineData("[::1]:80", true)]
    [InlineData("a/b", false)]
    [InlineData("u@h", false)]
    [InlineData("a b", false)]
    public void HostRewrite_Literal_IsAHost(string host, bool valid)
    {
        var given = Routes(new Wire.RouteAction { Cluster = "c", HostRewriteLiteral = host });
        if (valid)
        {
            Assert.Equal(host, Forward(given).HostRewrite);
        }
        else
        {
            Invalid(given, $"{Route0}.route.host_rewrite_literal");
        }
    }

    [Fact]
    public void Mirrors_SharesAreRead_NoneIsLeftOut()
    {
        var action = new Wire.RouteAction { Cluster = "c" };
        action.RequestMirrorPolicies.Add(new Wire.RouteAction.Types.RequestMirrorPolicy { Cluster = "all" });
        action.RequestMirrorPolicies.Add(Mirror("some", 5));
        action.RequestMirrorPolicies.Add(Mirror("none", 0));
        Assert.Equal([new Mirror("all", 1_000_000), new Mirror("some", 50_000)], Forward(Routes(action)).Mirrors);

        action.RequestMirrorPolicies.Add(new Wire.RouteAction.Types.RequestMirrorPolicy());
        Invalid(Routes(action), $"{Route0}.route.request_mirror_policies[3].cluster");
    }

    [Fact]
    public void Mirrors_OfARoute_AreClustersItNeeds()
    {
        var action = new Wire.RouteAction { Cluster = "c" };
        action.RequestMirrorPolicies.Add(Mirror("m", 5));
        Assert.Equal(["c", "m"], SnapshotBuilder.ClustersOf(Valid<RouteConfiguration>(Routes(action))));
    }

    [Fact]
    public void Redirect_AllFields_AreRead()
    {
        var redirect = Redirect(new Wire.RedirectAction
        {
            ResponseCode = Wire.RedirectAction.Types.RedirectResponseCode.PermanentRedirect,
            HostRedirect = "example.com:8443",
            HttpsRedirect = true,
            PathRedirect = "/x?y=1",
            StripQuery = true,
        });
        Assert.Equal(new RouteAction.Redirect(308) { Scheme = "https", Host = "example.com", Port = 8443, Path = new PathRewrite.Full("/x?y=1"), StripQuery = true }, redirect);
        Assert.Equal(new PathRewrite.Prefix("/p"), Redirect(new Wire.RedirectAction { PrefixRewrite = "/p" }).Path);
        Assert.Equal(("http", 81), (Redirect(new Wire.RedirectAction { SchemeRedirect = "HTTP", PortRedirect = 81 }) is var r ? r.Scheme : null, r.Port));
    }

    [Fact]
    public void Redirect_Wrong_IsAllNamed()
    {
        var given = Routes(new Wire.RouteAction { Cluster = "c" });
        given.VirtualHosts[0].Routes[0].Redirect = new Wire.RedirectAction
        {
            ResponseCode = (Wire.RedirectAction.Types.RedirectResponseCode)9, SchemeRedirect = "ftp", PortRedirect = 70_000, PathRedirect = "/a#b",
        };
        Invalid(given, $"{Route0}.redirect.response_code", $"{Route0}.redirect.scheme_redirect", $"{Route0}.redirect.port_redirect", $"{Route0}.redirect.path_redirect");
    }

    [Fact]
    public void Headers_AllLevels_MostSpecificFirst()
    {
        var given = Routes(new Wire.RouteAction { WeightedClusters = new Wire.WeightedCluster() });
        given.RequestHeadersToAdd.Add(Header("x", "all", HeaderValueOption.Types.HeaderAppendAction.OverwriteIfExistsOrAdd));
        given.VirtualHosts[0].RequestHeadersToAdd.Add(Header("x", "host", HeaderValueOption.Types.HeaderAppendAction.AddIfAbsent));
        given.VirtualHosts[0].ResponseHeadersToRemove.Add("Server");
        var route = given.VirtualHosts[0].Routes[0];
        route.RequestHeadersToAdd.Add(Header("X-A", "100%%"));
        route.RequestHeadersToAdd.Add(Header("x-s", "s", HeaderValueOption.Types.HeaderAppendAction.OverwriteIfExists));
        route.RequestHeadersToRemove.Add("X-R");
        var cluster = new Wire.WeightedCluster.Types.ClusterWeight { Name = "c", Weight = 1 };
        cluster.RequestHeadersToAdd.Add(new HeaderValueOption { Header = new HeaderValue { Key = "x", Value = "cluster" }, Append = false });
        cluster.ResponseHeadersToAdd.Add(Header("y", ""));
        route.Route_.WeightedClusters.Clusters.Add(cluster);

        var read = Only(given);

        Assert.Equal(
            [
                new HeaderChange("x-r", "", HeaderChangeKind.Remove),
                new HeaderChange("x-s", "s", HeaderChangeKind.SetIfPresent),
                new HeaderChange("x-a", "100%", HeaderChangeKind.Append),
                new HeaderChange("x", "host", HeaderChangeKind.AddIfAbsent),
                new HeaderChange("x", "all", HeaderChangeKind.Set),
            ],
            read.RequestHeaders.Changes);
        Assert.Equal([new HeaderChange("server", "", HeaderChangeKind.Remove)], read.ResponseHeaders.Changes);
        var weighted = Assert.Single(Forward(given).Clusters);
        Assert.Equal([new HeaderChange("x", "cluster", HeaderChangeKind.Set)], weighted.RequestHeaders.Changes);
        Assert.True(weighted.ResponseHeaders.IsNone);
    }

    [Fact]
    public void Headers_Protected_AreRefused()
    {
        var given = Routes(new Wire.RouteAction { Cluster = "c" });
        var route = given.VirtualHosts[0].Routes[0];
        string[] names = [":path", "Host", "", "a b", "Connection", "Transfer-Encoding", "TE", "content-length", "mesh-error", "grpc-status"];
        route.RequestHeadersToAdd.Add(names.Select(n => Header(n, "v")));
        route.ResponseHeadersToRemove.Add(names);
        Invalid(given, [
            .. names.Select((_, i) => $"{Route0}.request_headers_to_add[{i}].header.key"),
            .. names.Select((_, i) => $"{Route0}.response_headers_to_remove[{i}]"),
        ]);
    }

    [Fact]
    public void Headers_ValuesThatAreNoPlainText_AreRefused()
    {
        var given = Routes(new Wire.RouteAction { Cluster = "c" });
        var add = given.VirtualHosts[0].Routes[0].RequestHeadersToAdd;
        add.Add(Header("a", "%DOWNSTREAM_REMOTE_ADDRESS%"));
        add.Add(Header("a", "a\r\nb: c"));
        add.Add(new HeaderValueOption { Header = new HeaderValue { Key = "a", RawValue = ByteString.CopyFrom(1) } });
        add.Add(new HeaderValueOption());
        add.Add(new HeaderValueOption { Header = new HeaderValue { Key = "a", Value = "b" }, Append = true, AppendAction = HeaderValueOption.Types.HeaderAppendAction.AddIfAbsent });
        const string Path = $"{Route0}.request_headers_to_add";
        Invalid(given, $"{Path}[0].header.value", $"{Path}[1].header.value", $"{Path}[2].header.raw_value", $"{Path}[3].header", $"{Path}[4].append");
    }

    [Fact]
    public void HeaderMatch_MissingAsEmpty_IsRead()
    {
        var given = Routes(new Wire.RouteAction { Cluster = "c" });
        given.VirtualHosts[0].Routes[0].Match.Headers.Add(new Wire.HeaderMatcher { Name = "x", ExactMatch = "a", InvertMatch = true, TreatMissingHeaderAsEmpty = true });
        given.VirtualHosts[0].Routes[0].Match.Headers.Add(new Wire.HeaderMatcher { Name = "x", ExactMatch = "a", InvertMatch = true });
        var headers = Only(given).Match.Headers;
        Assert.True(headers[0].MatchesValue(null));
        Assert.False(headers[1].MatchesValue(null));
    }

    private static HeaderValueOption Header(
        string name, string value, HeaderValueOption.Types.HeaderAppendAction action = HeaderValueOption.Types.HeaderAppendAction.AppendIfExistsOrAdd) =>
        new() { Header = new HeaderValue { Key = name, Value = value }, AppendAction = action };

    private static Wire.RouteAction.Types.RequestMirrorPolicy Mirror(string cluster, uint percent) => new()
    {
        Cluster = cluster,
        RuntimeFraction = new RuntimeFractionalPercent { DefaultValue = new FractionalPercent { Numerator = percent } },
    };

    private static RouteAction.Redirect Redirect(Wire.RedirectAction redirect)
    {
        var given = Routes(new Wire.RouteAction { Cluster = "c" });
        given.VirtualHosts[0].Routes[0].Redirect = redirect;
        return Assert.IsType<RouteAction.Redirect>(Only(given).Action);
    }

    private static TypedExtensionConfig Typed(IMessage config) => new() { Name = "t", TypedConfig = Any.Pack(config) };

    private static Route Only(Wire.RouteConfiguration given) => Assert.Single(Valid<RouteConfiguration>(given).VirtualHosts[0].Routes);

    private static RouteAction.Forward Forward(Wire.RouteConfiguration given) => Assert.IsType<RouteAction.Forward>(Only(given).Action);

    private static Wire.RouteConfiguration Routes(Wire.RouteAction action)
    {
        var routes = XdsResources.Routes("r", "c");
        routes.VirtualHosts[0].Routes[0].Route_ = action;
        return routes;
    }
}
