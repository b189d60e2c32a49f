using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Mesh.Protos.Envoy.Filters;
using Mesh.Protos.Envoy.JwtAuthn;
using Mesh.Protos.Envoy.Rbac;
using Mesh.Protos.Traffic;
using static Mesh.EndToEnd.Tests.ForeignPeers.RbacProtos;
using HttpRbac = Mesh.Protos.Envoy.Filters.RBAC;
using RBAC = Mesh.Protos.Envoy.Rbac.RBAC;

namespace Mesh.EndToEnd.Tests.ForeignPeers;

/// <summary>What every server that enforces our rules is asked; docs/foreign-servers.md tells the outcomes.</summary>
internal static class RuleCases
{
    public const string Add = "/shop.Cart/Add";
    public const string Remove = "/shop.Cart/Remove";
    public const string AddInLowerCase = "/shop.cart/add";
    public const string Reset = "/admin.Admin/Reset";

    private const StatusCode Yes = StatusCode.OK;
    private const StatusCode No = StatusCode.PermissionDenied;

    /// <summary>By name; what a peer does otherwise is in its own tests.</summary>
    public static IReadOnlyDictionary<string, RuleCase> All { get; } = new Dictionary<string, RuleCase>
    {
        ["deny-then-allow"] = new(
            [DenyFilter(Rule(Path(new() { Exact = Remove }), Account("storefront"))), AllowFilter(Rule(AnyPath, Named(new() { Prefix = "spiffe://cluster.local/ns/shop/" })))],
            [new("storefront", Remove, No), new("storefront", Add, Yes), new("reports", Remove, Yes), new("prod/api", Add, No)]),
        ["allow-empty"] = new([AllowFilter()], [new("storefront", Add, No), new("reports", Remove, No)]),
        ["deny-empty"] = new([DenyFilter()], [new("storefront", Add, Yes)]),
        ["principal-exact"] = new([AllowFilter(Rule(AnyPath, Account("storefront")))], [new("storefront", Add, Yes), new("storefront2", Add, No), new("reports", Add, No)]),
        ["principal-prefix"] = new(
            [AllowFilter(Rule(AnyPath, Named(new() { Prefix = "spiffe://cluster.local/ns/shop/" })))], [new("storefront", Add, Yes), new("prod/api", Add, No)]),
        ["principal-regex"] = new(
            [AllowFilter(Rule(AnyPath, Named(Regex("spiffe://cluster\\.local/ns/[^/]+/sa/(?:storefront|api)"))))],
            [new("storefront", Add, Yes), new("prod/api", Add, Yes), new("storefront2", Add, No), new("reports", Add, No)]),
        ["principal-regex-alternatives-not-grouped"] = new(
            [AllowFilter(Rule(AnyPath, Named(Regex($"{Id("storefront")}|{Id("reports")}"))))], [new("reports", Add, Yes), new("storefront2", Add, No)]),
        ["principal-authenticated"] = new([AllowFilter(Rule(AnyPath, new Principal { Authenticated = new() }))], [new("storefront", Add, Yes), new("prod/api", Reset, Yes)]),
        ["principal-not"] = new([AllowFilter(Rule(AnyPath, new Principal { NotId = Account("storefront") }))], [new("reports", Add, Yes), new("storefront", Add, No)]),
        ["principal-and-or"] = new(
            [
                AllowFilter(Rule(AnyPath, new Principal
                {
                    AndIds = new()
                    {
                        Ids = { new Principal { OrIds = new() { Ids = { Account("storefront"), Account("reports") } } }, new Principal { NotId = Account("reports") } },
                    },
                })),
            ],
            [new("storefront", Add, Yes), new("reports", Add, No), new("prod/api", Add, No)]),
        ["path-exact"] = new([AllowFilter(Rule(Path(new() { Exact = Add }), Anyone))], [new("storefront", Add, Yes), new("storefront", AddInLowerCase, No), new("storefront", Remove, No)]),
        ["path-exact-ignore-case"] = new(
            [DenyFilter(Rule(Path(new() { Exact = Add, IgnoreCase = true }), Anyone))], [new("storefront", Add, No), new("storefront", AddInLowerCase, No), new("storefront", Remove, Yes)]),
        ["path-prefix"] = new([AllowFilter(Rule(Path(new() { Prefix = "/shop.Cart/" }), Anyone))], [new("storefront", Add, Yes), new("storefront", Remove, Yes), new("storefront", Reset, No)]),
        ["path-prefix-ignore-case"] = new(
            [DenyFilter(Rule(Path(new() { Prefix = "/Shop.", IgnoreCase = true }), Anyone))], [new("storefront", Add, No), new("storefront", AddInLowerCase, No), new("storefront", Reset, Yes)]),
        ["path-regex"] = new([AllowFilter(Rule(Path(Regex("/(?:[^/]*)/Add")), Anyone))], [new("storefront", Add, Yes), new("storefront", Remove, No)]),
        ["permission-and-or-not"] = new(
            [
                AllowFilter(Rule(
                    new Permission
                    {
                        AndRules = new()
                        {
                            Rules =
                            {
                                new Permission { OrRules = new() { Rules = { Path(new() { Exact = Add }), Path(new() { Exact = Reset }) } } },
                                new Permission { NotRule = Path(new() { Exact = Reset }) },
                            },
                        },
                    },
                    Anyone)),
            ],
            [new("storefront", Add, Yes), new("storefront", Reset, No), new("storefront", Remove, No)]),
        ["path-exact-as-regex"] = new([AllowFilter(Rule(Path(Regex("(?:/shop\\.Cart/Add)")), Anyone))], [new("storefront", Add, Yes), new("storefront", AddInLowerCase, No)]),
        ["path-regex-ignore-case"] = new(
            [DenyFilter(Rule(Path(Regex("(?i:/shop\\.Cart/Add)")), Anyone))], [new("storefront", Add, No), new("storefront", AddInLowerCase, No), new("storefront", Remove, Yes)]),
        ["path-exact-both-ways"] = new(
            [
                DenyFilter(Rule(
                    new Permission { OrRules = new() { Rules = { Path(new() { Exact = Add, IgnoreCase = true }), Path(new() { Exact = Add }) } } }, Anyone)),
            ],
            [new("storefront", AddInLowerCase, No), new("storefront", Add, No), new("storefront", Remove, Yes)]),
        ["header-exact"] = new([AllowFilter(Rule(Header(new() { Name = "tenant", ExactMatch = "a" }), Anyone))], TenantIs("a", "b")),
        ["header-prefix"] = new([AllowFilter(Rule(Header(new() { Name = "tenant", PrefixMatch = "eu-" }), Anyone))], TenantIs("eu-1", "us-1")),
        ["header-suffix"] = new([AllowFilter(Rule(Header(new() { Name = "tenant", SuffixMatch = "-1" }), Anyone))], TenantIs("eu-1", "eu-2")),
        ["header-regex"] = new(
            [AllowFilter(Rule(Header(new() { Name = "tenant", SafeRegexMatch = new() { GoogleRe2 = new Empty(), Regex = "(?:eu|us)-[0-9]+" } }), Anyone))], TenantIs("us-12", "us-1x")),
        ["header-present"] = new([AllowFilter(Rule(Header(new() { Name = "tenant", PresentMatch = true }), Anyone))], [new("storefront", Add, Yes, ("tenant", "x")), new("storefront", Add, No)]),
        ["header-invert"] = new(
            [AllowFilter(Rule(Header(new() { Name = "tenant", ExactMatch = "a", InvertMatch = true }), Anyone))],
            [new("storefront", Add, No, ("tenant", "a")), new("storefront", Add, Yes, ("tenant", "b"))]),
        ["header-invert-missing"] = new(
            [DenyFilter(Rule(Header(new() { Name = "tenant", ExactMatch = "a", InvertMatch = true }), Anyone))], [new("storefront", Add, No)]),
        ["header-not"] = new(
            [DenyFilter(Rule(new Permission { NotRule = Header(new() { Name = "tenant", ExactMatch = "a" }) }, Anyone))],
            [new("storefront", Add, No), new("storefront", Add, No, ("tenant", "b")), new("storefront", Add, Yes, ("tenant", "a"))]),
        ["header-name-in-capitals"] = new([AllowFilter(Rule(Header(new() { Name = "Tenant", ExactMatch = "a" }), Anyone))], TenantIs("a", "b")),
        ["header-string-match"] = new([AllowFilter(Rule(Header(new() { Name = "tenant", StringMatch = new() { Exact = "a" } }), Anyone))], TenantIs("a", "b")),
        ["header-method"] = new([DenyFilter(Rule(Header(new() { Name = ":method", ExactMatch = "POST" }), Anyone))], [new("storefront", Add, No)]),
        ["header-authority"] = new([DenyFilter(Rule(Header(new() { Name = ":authority", PrefixMatch = "127.0.0.1" }), Anyone))], [new("storefront", Add, No)]),
        ["header-path"] = new([AllowFilter(Rule(Header(new() { Name = ":path", ExactMatch = Add }), Anyone))], [new("storefront", Add, Yes), new("storefront", Remove, No)]),
        ["network-ipv4"] = new([AllowFilter(Rule(AnyPath, new Principal { DirectRemoteIp = Cidr("127.0.0.0", 8) }))], [new("storefront", Add, Yes)]),
        ["network-remote-ip"] = new([AllowFilter(Rule(AnyPath, new Principal { RemoteIp = Cidr("127.0.0.0", 8) }))], [new("storefront", Add, Yes)]),
        ["network-other"] = new([AllowFilter(Rule(AnyPath, new Principal { DirectRemoteIp = Cidr("10.0.0.0", 8) }))], [new("storefront", Add, No)]),
        ["network-not"] = new([AllowFilter(Rule(AnyPath, new Principal { NotId = new Principal { DirectRemoteIp = Cidr("127.0.0.0", 8) } }))], [new("storefront", Add, No)]),
        ["claim-in-allow"] = new([AllowFilter(Rule(AnyPath, Claim("group", "admins")))], [new("storefront", Add, No)]),
        ["claim-in-deny"] = new([DenyFilter(Rule(AnyPath, Claim("group", "admins")))], [new("storefront", Add, Yes)]),
        ["claim-not"] = new([AllowFilter(Rule(AnyPath, new Principal { NotId = Claim("group", "admins") }))], [new("storefront", Add, Yes)]),
        ["shadow-beside-rules"] = new(
            [Filter(Allow, new HttpRbac { Rules = Rules(RBAC.Types.Action.Allow, Rule(AnyPath, Account("storefront"))), ShadowRules = Rules(RBAC.Types.Action.Deny, Rule(AnyPath, Anyone)) })],
            [new("storefront", Add, Yes), new("reports", Add, No)]),
        ["shadow-alone"] = new([Filter(Allow, new HttpRbac { ShadowRules = Rules(RBAC.Types.Action.Deny, Rule(AnyPath, Anyone)) })], [new("storefront", Add, Yes)]),
        ["action-log"] = new([Filter(Allow, new HttpRbac { Rules = Rules(RBAC.Types.Action.Log, Rule(AnyPath, Anyone)) })], [new("storefront", Add, Yes)]),
        ["rbac-optional"] = new([Filter(Allow, new HttpRbac { Rules = Rules(RBAC.Types.Action.Allow) }, optional: true)], [new("storefront", Add, No)]),
        ["jwt-authn"] = new([Filter("envoy.filters.http.jwt_authn", new JwtAuthentication())], []) { IsNacked = true },
        ["jwt-authn-optional"] = new([Filter("envoy.filters.http.jwt_authn", new JwtAuthentication(), optional: true)], [new("storefront", Add, Yes)]),
        ["limits-optional"] = new([Filter("io.meshlib.limits", new InboundLimits(), optional: true)], [new("storefront", Add, Yes)]),
        ["names-equal"] = new([AllowFilter(Rule(AnyPath, Anyone)), AllowFilter(Rule(AnyPath, Anyone))], []) { IsNacked = true },
        ["condition"] = new(
            [AllowFilter(new Mesh.Protos.Envoy.Rbac.Policy { Permissions = { AnyPath }, Principals = { Anyone }, Condition = Any.Pack(new Empty()) })], []) { IsNacked = true },
        ["override-of-route"] = new(
            [AllowFilter(Rule(AnyPath, Account("storefront")))],
            [new("storefront", Add, Yes), new("prod/api", Add, No), new("prod/api", Reset, Yes), new("storefront", Reset, No)])
        {
            Overrides = new Dictionary<string, RBACPerRoute> { [Reset] = new() { Rbac = new HttpRbac { Rules = Rules(RBAC.Types.Action.Allow, Rule(AnyPath, Account("prod/api"))) } } },
        },
        ["override-disables"] = new([AllowFilter()], [new("storefront", Add, No), new("storefront", Reset, Yes)])
        {
            Overrides = new Dictionary<string, RBACPerRoute> { [Reset] = new RBACPerRoute() },
        },
    };

    private static RuleCall[] TenantIs(string good, string bad) =>
        [new("storefront", Add, Yes, ("tenant", good)), new("storefront", Add, No, ("tenant", bad)), new("storefront", Add, No)];
}
