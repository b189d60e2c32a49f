using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Hcm;
using Mesh.Protos.Envoy.Matcher;
using Mesh.Protos.Envoy.Rbac;
using Mesh.Protos.Envoy.Route;
using HttpRbac = Mesh.Protos.Envoy.Filters.RBAC;
using RbacPolicy = Mesh.Protos.Envoy.Rbac.Policy;

namespace Mesh.EndToEnd.Tests.ForeignPeers;

/// <summary>Rules as our control plane writes them, in few words.</summary>
internal static class RbacProtos
{
    public const string Deny = "io.meshlib.deny";
    public const string Allow = "io.meshlib.allow";

    public static readonly Permission AnyPath = new() { Any = true };
    public static readonly Principal Anyone = new() { Any = true };

    public static HttpFilter Filter(string name, IMessage config, bool optional = false) => new() { Name = name, TypedConfig = Any.Pack(config), IsOptional = optional };

    public static HttpFilter DenyFilter(params RbacPolicy[] policies) => Filter(Deny, new HttpRbac { Rules = Rules(RBAC.Types.Action.Deny, policies) });

    public static HttpFilter AllowFilter(params RbacPolicy[] policies) => Filter(Allow, new HttpRbac { Rules = Rules(RBAC.Types.Action.Allow, policies) });

    public static RBAC Rules(RBAC.Types.Action action, params RbacPolicy[] policies)
    {
        var rules = new RBAC { Action = action };
        for (var i = 0; i < policies.Length; i++)
        {
            rules.Policies.Add($"shop/policy/{i}", policies[i]);
        }

        return rules;
    }

    public static RbacPolicy Rule(Permission permission, Principal principal) => new() { Permissions = { permission }, Principals = { principal } };

    public static Permission Path(StringMatcher matcher) => new() { UrlPath = new PathMatcher { Path = matcher } };

    public static Permission Header(HeaderMatcher matcher) => new() { Header = matcher };

    public static Principal Named(StringMatcher matcher) => new() { Authenticated = new Principal.Types.Authenticated { PrincipalName = matcher } };

    public static Principal Account(string caller) => Named(new StringMatcher { Exact = Id(caller) });

    /// <param name="caller">Service account in the namespace <c>shop</c>, or <c>namespace/account</c>.</param>
    public static string Id(string caller) => caller.Split('/') is [var ns, var account]
        ? $"spiffe://cluster.local/ns/{ns}/sa/{account}"
        : $"spiffe://cluster.local/ns/shop/sa/{caller}";

    public static StringMatcher Regex(string regex) => new() { SafeRegex = new RegexMatcher { GoogleRe2 = new Empty(), Regex = regex } };

    public static CidrRange Cidr(string prefix, uint length) => new() { AddressPrefix = prefix, PrefixLen = length };

    /// <summary>A claim of a verified token, as decision 4 of the mesh's wire has it.</summary>
    public static Principal Claim(string name, string value, bool invert = false) => new()
    {
        Metadata = new MetadataMatcher
        {
            Filter = "envoy.filters.http.jwt_authn",
            Path = { new MetadataMatcher.Types.PathSegment { Key = "provider" }, new MetadataMatcher.Types.PathSegment { Key = name } },
            Value = new ValueMatcher { StringMatch = new StringMatcher { Exact = value } },
            Invert = invert,
        },
    };
}
