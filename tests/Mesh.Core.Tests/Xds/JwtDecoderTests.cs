using Google.Protobuf.WellKnownTypes;
using Mesh.Config;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Filters;
using Mesh.Protos.Envoy.Route;
using Mesh.Testing;
using Xunit;
using static Mesh.Xds.DecodeAssert;
using Hcm = Mesh.Protos.Envoy.Hcm.HttpConnectionManager;
using Jwt = Mesh.Protos.Envoy.JwtAuthn;
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
        var filter = Filter(new Jwt.JwtAuthentication
        {
            Providers =
            {
                ["a"] = new Jwt.JwtProvider
                {
                    Issuer = "https://a", Audiences = { "shop" }, Forward = true, PayloadInMetadata = "key", ClockSkewSeconds = 5,
                    LocalJwks = new DataSource { InlineString = TestIssuer.Set(_issuer) },
                    FromHeaders = { new Jwt.JwtHeader { Name = "X-Token", ValuePrefix = "T " } }, FromParams = { "token" },
                    ClaimToHeaders = { new Jwt.JwtClaimToHeader { HeaderName = "X-Mesh-Claim-Sub", ClaimName = "sub" } },
                },
                ["b"] = new Jwt.JwtProvider
                {
                    Issuer = "https://b",
                    RemoteJwks = new Jwt.RemoteJwks
                    {
                        HttpUri = new HttpUri { Uri = "https://b/keys?x=1", Cluster = "b", Timeout = new Duration { Seconds = 2 } }, CacheDuration = new Duration { Seconds = 300 },
                    },
                },
            },
            RequirementMap = { ["both"] = Any(Name("a"), Name("b"), new Jwt.JwtRequirement { AllowMissing = new Empty() }) },
            Rules =
            {
                new Jwt.RequirementRule { Match = new RouteMatch { Path = "/open" } },
                new Jwt.RequirementRule { Match = new RouteMatch { Prefix = "/a" }, Requires = Name("a") },
                new Jwt.RequirementRule { Match = new RouteMatch { Prefix = "/b" }, Requires = new Jwt.JwtRequirement { AllowMissingOrFailed = new Empty() } },
                new Jwt.RequirementRule { Match = new RouteMatch { Prefix = "/" }, RequirementName = "both" },
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
        Listener(new Jwt.JwtAuthentication
        {
            Providers =
            {
                ["empty"] = new Jwt.JwtProvider(),
                ["file"] = new Jwt.JwtProvider { Issuer = "i", LocalJwks = new DataSource { Filename = "/etc/keys" } },
                ["nokeys"] = new Jwt.JwtProvider { Issuer = "i", LocalJwks = new DataSource { InlineString = "{\"keys\":[]}" } },
                ["ftp"] = new Jwt.JwtProvider { Issuer = "i", RemoteJwks = Remote("ftp://x/keys") },
                ["user"] = new Jwt.JwtProvider { Issuer = "i", RemoteJwks = Remote("https://u:p@x/keys") },
                ["relative"] = new Jwt.JwtProvider { Issuer = "i", RemoteJwks = Remote("/keys") },
                ["none"] = new Jwt.JwtProvider { Issuer = "i", RemoteJwks = new Jwt.RemoteJwks() },
                ["headers"] = new Jwt.JwtProvider
                {
                    Issuer = "i", RemoteJwks = Remote("https://x/"), ClockSkewSeconds = 4000,
                    FromHeaders = { new Jwt.JwtHeader { Name = "a b" } }, FromParams = { "" },
                    ClaimToHeaders = { new Jwt.JwtClaimToHeader { HeaderName = "x\r\ny" }, new Jwt.JwtClaimToHeader { HeaderName = "host", ClaimName = "sub" } },
                },
            },
            Rules =
            {
                new Jwt.RequirementRule { Requires = Name("nobody") },
                new Jwt.RequirementRule { Match = new RouteMatch { Prefix = "/" }, RequirementName = "nothing" },
                new Jwt.RequirementRule { Match = new RouteMatch { Prefix = "/" }, Requires = new Jwt.JwtRequirement { RequiresAll = new Jwt.JwtRequirementAndList() } },
                new Jwt.RequirementRule { Match = new RouteMatch { Prefix = "/" }, Requires = Any(new Jwt.JwtRequirement { ProviderAndAudiences = new Jwt.ProviderWithAudiences() }, new Jwt.JwtRequirement()) },
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
        var listener = Listener(Good(), new VirtualHost
        {
            Name = "h", Domains = { "*" },
            Routes = { new Route { Match = new RouteMatch { Prefix = "/" }, NonForwardingAction = new NonForwardingAction(), TypedPerFilterConfig = { ["jwt"] = Google.Protobuf.WellKnownTypes.Any.Pack(new FilterConfig { Disabled = true }) } } },
        });

        Invalid(listener, $"{Manager}.route_config");
    }

    [Fact]
    public void RouteThatReplacesIt_IsRefused()
    {
        var listener = Listener(Good(), new VirtualHost
        {
            Name = "h", Domains = { "*" }, TypedPerFilterConfig = { ["other"] = Google.Protobuf.WellKnownTypes.Any.Pack(Good()) },
        });

        Invalid(listener, $"{Manager}.route_config.virtual_hosts[0].typed_per_filter_config[\"other\"]");
    }

    private Jwt.JwtAuthentication Good() => new()
    {
        Providers = { ["a"] = new Jwt.JwtProvider { Issuer = "https://a", LocalJwks = new DataSource { InlineString = TestIssuer.Set(_issuer) } } },
    };

    private static Jwt.RemoteJwks Remote(string uri) => new() { HttpUri = new HttpUri { Uri = uri } };

    private static Jwt.JwtRequirement Name(string provider) => new() { ProviderName = provider };

    private static Jwt.JwtRequirement Any(params Jwt.JwtRequirement[] requirements) => new() { RequiresAny = new Jwt.JwtRequirementOrList { Requirements = { requirements } } };

    private static JwtAuthentication Filter(Jwt.JwtAuthentication filter) =>
        Assert.IsType<JwtAuthentication>(Assert.Single(Assert.Single(Valid<Listener>(Listener(filter)).FilterChains).Http!.Filters).Settings);

    private static Wire.Listener Listener(Jwt.JwtAuthentication filter, VirtualHost? host = null)
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
