using Google.Protobuf.WellKnownTypes;
using Mesh.Config;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Filters;
using Mesh.Testing;
using Xunit;
using static Mesh.Xds.DecodeAssert;
using Hcm = Mesh.Protos.Envoy.Hcm.HttpConnectionManager;
using Authn = Mesh.Protos.Envoy.JwtAuthn;
using Wire = Mesh.Protos.Envoy.Listener;
using WireFilter = Mesh.Protos.Envoy.Hcm.HttpFilter;

namespace Mesh.Xds;

public sealed class JwtDecoderTests : IDisposable
{
    private const string Manager = "default_filter_chain.filters[0].typed_config";
    private const string Here = Manager + ".http_filters[0].typed_config";
    private readonly TestIssuer _issuer = new();

    public void Dispose() => _issuer.Dispose();

    [Fact]
    public void All_IsRead()
    {
        var filter = Filter(new Authn.JwtAuthentication
        {
            Providers =
            {
                ["a"] = new Authn.JwtProvider
                {
                    Issuer = "https://a", Audiences = { "shop" }, Forward = true, PayloadInMetadata = "key", ClockSkewSeconds = 5,
                    LocalJwks = new DataSource { InlineString = TestIssuer.Set(_issuer) },
                    FromHeaders = { new Authn.JwtHeader { Name = "X-Token", ValuePrefix = "T " } }, FromParams = { "token" },
                    ClaimToHeaders = { new Authn.JwtClaimToHeader { HeaderName = "X-Mesh-Claim-Sub", ClaimName = "sub" } },
                },
                ["b"] = new Authn.JwtProvider
                {
                    Issuer = "https://b",
                    RemoteJwks = new Authn.RemoteJwks
                    {
                        HttpUri = new HttpUri { Uri = "https://b/keys?x=1", Cluster = "b", Timeout = new Duration { Seconds = 2 } }, CacheDuration = new Duration { Seconds = 300 },
                    },
                },
            },
            RequirementMap = { ["both"] = Any(Name("a"), Name("b"), new Authn.JwtRequirement { AllowMissing = new Empty() }) },
            Rules =
            {
                new Authn.RequirementRule { Match = new Protos.Envoy.Route.RouteMatch { Path = "/open" } },
                new Authn.RequirementRule { Match = new Protos.Envoy.Route.RouteMatch { Prefix = "/a" }, Requires = Name("a") },
                new Authn.RequirementRule { Match = new Protos.Envoy.Route.RouteMatch { Prefix = "/b" }, Requires = new Authn.JwtRequirement { AllowMissingOrFailed = new Empty() } },
                new Authn.RequirementRule { Match = new Protos.Envoy.Route.RouteMatch { Prefix = "/" }, RequirementName = "both" },
            },
        });

        var (a, b) = (filter.Providers[0], filter.Providers[1]);
        Assert.Equal(("a", "https://a", "key", true, TimeSpan.FromSeconds(5)), (a.Name, a.Issuer, a.ClaimsKey, a.Forward, a.ClockSkew));
        Assert.Equal(["shop"], a.Audiences);
        Assert.Single(Assert.IsType<JwtKeys.Inline>(a.Keys).Set.Keys);
        Assert.Equal([new JwtPlace(true, "x-token", "T "), new JwtPlace(false, "token", "")], a.Places);
        Assert.Equal([new JwtClaimHeader("x-mesh-claim-sub", "sub")], a.ClaimHeaders);
        Assert.Equal(("b", false, TimeSpan.FromSeconds(60)), (b.ClaimsKey, b.Forward, b.ClockSkew));
        Assert.Equal(new JwtKeys.Remote(new Uri("https://b/keys?x=1"), TimeSpan.FromMinutes(5), TimeSpan.FromSeconds(2)), b.Keys);
        Assert.Equal([JwtPlace.Bearer], b.Places);
        Assert.Equal(
            ["", "a", "a,b missing failed", "a,b missing"],
            filter.Rules.Select(r => r.Requirement is { } q ? $"{string.Join(',', q.Providers)}{(q.AllowMissing ? " missing" : "")}{(q.AllowFailed ? " failed" : "")}" : ""));
        Assert.True(filter.Guards);
    }

    [Fact]
    public void Wrong_EveryErrorIsNamed() => Invalid(
        Listener(new Authn.JwtAuthentication
        {
            Providers =
            {
                ["empty"] = new Authn.JwtProvider(),
                ["file"] = new Authn.JwtProvider { Issuer = "i", LocalJwks = new DataSource { Filename = "/etc/keys" } },
                ["nokeys"] = new Authn.JwtProvider { Issuer = "i", LocalJwks = new DataSource { InlineString = "{\"keys\":[]}" } },
                ["ftp"] = new Authn.JwtProvider { Issuer = "i", RemoteJwks = Remote("ftp://x/keys") },
                ["user"] = new Authn.JwtProvider { Issuer = "i", RemoteJwks = Remote("https://u:p@x/keys") },
                ["relative"] = new Authn.JwtProvider { Issuer = "i", RemoteJwks = Remote("/keys") },
                ["none"] = new Authn.JwtProvider { Issuer = "i", RemoteJwks = new Authn.RemoteJwks() },
                ["headers"] = new Authn.JwtProvider
                {
                    Issuer = "i", RemoteJwks = Remote("https://x/"), ClockSkewSeconds = 4000,
                    FromHeaders = { new Authn.JwtHeader { Name = "a b" } }, FromParams = { "" },
                    ClaimToHeaders = { new Authn.JwtClaimToHeader { HeaderName = "x\r\ny" }, new Authn.JwtClaimToHeader { HeaderName = "host", ClaimName = "sub" } },
                },
            },
            Rules =
            {
                new Authn.RequirementRule { Requires = Name("nobody") },
                new Authn.RequirementRule { Match = new Protos.Envoy.Route.RouteMatch { Prefix = "/" }, RequirementName = "nothing" },
                new Authn.RequirementRule { Match = new Protos.Envoy.Route.RouteMatch { Prefix = "/" }, Requires = new Authn.JwtRequirement { RequiresAll = new Authn.JwtRequirementAndList() } },
                new Authn.RequirementRule { Match = new Protos.Envoy.Route.RouteMatch { Prefix = "/" }, Requires = Any(new Authn.JwtRequirement { ProviderAndAudiences = new Authn.ProviderWithAudiences() }, new Authn.JwtRequirement()) },
            },
        }),
        $"{Here}.providers[\"empty\"].issuer", $"{Here}.providers[\"empty\"]",
        $"{Here}.providers[\"file\"].local_jwks",
        $"{Here}.providers[\"nokeys\"].local_jwks",
        $"{Here}.providers[\"ftp\"].remote_jwks.http_uri.uri",
        $"{Here}.providers[\"user\"].remote_jwks.http_uri.uri",
        $"{Here}.providers[\"relative\"].remote_jwks.http_uri.uri",
        $"{Here}.providers[\"none\"].remote_jwks.http_uri.uri",
        $"{Here}.providers[\"headers\"].clock_skew_seconds",
        $"{Here}.providers[\"headers\"].from_headers[0].name",
        $"{Here}.providers[\"headers\"].from_params[0]",
        $"{Here}.providers[\"headers\"].claim_to_headers[0].header_name",
        $"{Here}.providers[\"headers\"].claim_to_headers[0].claim_name",
        $"{Here}.providers[\"headers\"].claim_to_headers[1].header_name",
        $"{Here}.rules[0].match", $"{Here}.rules[0].requires.provider_name",
        $"{Here}.rules[1].requirement_name",
        $"{Here}.rules[2].requires.requires_all",
        $"{Here}.rules[3].requires.requires_any.requirements[0].provider_and_audiences",
        $"{Here}.rules[3].requires.requires_any.requirements[1]");

    [Fact]
    public void RouteThatTurnsItOff_IsRefused()
    {
        var listener = Listener(Good(), new Protos.Envoy.Route.VirtualHost
        {
            Name = "h", Domains = { "*" },
            Routes = { new Protos.Envoy.Route.Route { Match = new Protos.Envoy.Route.RouteMatch { Prefix = "/" }, NonForwardingAction = new Protos.Envoy.Route.NonForwardingAction(), TypedPerFilterConfig = { ["jwt"] = Google.Protobuf.WellKnownTypes.Any.Pack(new Protos.Envoy.Route.FilterConfig { Disabled = true }) } } },
        });

        Invalid(listener, $"{Manager}.route_config");
    }

    [Fact]
    public void RouteThatReplacesIt_IsRefused()
    {
        var listener = Listener(Good(), new Protos.Envoy.Route.VirtualHost
        {
            Name = "h", Domains = { "*" }, TypedPerFilterConfig = { ["other"] = Google.Protobuf.WellKnownTypes.Any.Pack(Good()) },
        });

        Invalid(listener, $"{Manager}.route_config.virtual_hosts[0].typed_per_filter_config[\"other\"]");
    }

    private Authn.JwtAuthentication Good() => new()
    {
        Providers = { ["a"] = new Authn.JwtProvider { Issuer = "https://a", LocalJwks = new DataSource { InlineString = TestIssuer.Set(_issuer) } } },
    };

    private static Authn.RemoteJwks Remote(string uri) => new() { HttpUri = new HttpUri { Uri = uri } };

    private static Authn.JwtRequirement Name(string provider) => new() { ProviderName = provider };

    private static Authn.JwtRequirement Any(params Authn.JwtRequirement[] requirements) => new() { RequiresAny = new Authn.JwtRequirementOrList { Requirements = { requirements } } };

    private static JwtAuthentication Filter(Authn.JwtAuthentication filter) =>
        Assert.IsType<JwtAuthentication>(Assert.Single(Assert.Single(Valid<Listener>(Listener(filter)).FilterChains).Http!.Filters).Settings);

    private static Wire.Listener Listener(Authn.JwtAuthentication filter, Protos.Envoy.Route.VirtualHost? host = null)
    {
        var manager = new Hcm { RouteConfig = new Protos.Envoy.Route.RouteConfiguration { Name = "in" } };
        manager.HttpFilters.Add(new WireFilter { Name = "jwt", TypedConfig = Google.Protobuf.WellKnownTypes.Any.Pack(filter) });
        manager.HttpFilters.Add(new WireFilter { Name = "router", TypedConfig = Google.Protobuf.WellKnownTypes.Any.Pack(new Router()) });
        if (host is not null)
        {
            manager.RouteConfig.VirtualHosts.Add(host);
        }

        return new Wire.Listener
        {
            Name = "l",
            DefaultFilterChain = new Wire.FilterChain { Filters = { new Wire.Filter { Name = "hcm", TypedConfig = Google.Protobuf.WellKnownTypes.Any.Pack(manager) } } },
        };
    }
}
