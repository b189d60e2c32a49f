using System.Collections.Immutable;
using System.Net;
using Google.Protobuf.WellKnownTypes;
using Mesh.ControlPlane.Model.Policies;
using Mesh.Policy;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Matcher;
using Mesh.Protos.Envoy.Rbac;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Translation;

/// <summary>Writes who calls, as RBAC principals.</summary>
/// <remarks>
/// A principal is the URI in the peer's certificate (gRFC A41), so every condition on identities is one on a SPIFFE ID's text: exact, by prefix up to a '/', or by a regular
/// expression whose literal parts are escaped. Networks are those of the peer itself. For servers that are not ours every name is an expression (docs/foreign-servers.md).
/// </remarks>
internal sealed class PrincipalTranslator(TrustDomain trustDomain, ServerDefaults defaults)
{
    public static Principal Anybody => new() { Any = true };

    /// <summary>No rule of the data plane matches it: a policy that is in force and lets nobody in.</summary>
    public static Principal Nobody => new() { NotId = Anybody };

    /// <summary>Who has an identity of the mesh.</summary>
    private Principal Authenticated(RuleAudience audience) => Below($"spiffe://{trustDomain}/", audience);

    /// <summary>Whom an access mode lets in; null is everybody.</summary>
    public Principal? Of(AccessMode access, RuleAudience audience)
    {
        var identity = AccessModes.AsksForIdentity(access) ? Authenticated(audience) : null;
        var network = AccessModes.AsksForNetwork(access) ? Networks(defaults.ClusterNetworks) : null;
        return access == AccessMode.Deny || (network is not null && !audience.KnowsNetworks) ? Nobody
            : (identity, network) switch
            {
                (null, null) => null,
                ({ } one, null) => one,
                (null, { } one) => one,
                var (one, other) => And([one, other]),
            };
    }

    /// <summary>One entry of <c>from</c>; null when it can match nobody there.</summary>
    public Principal? Of(CallerMatch from, bool isAllow, IReadOnlyList<IssuerInForce> issuers, RuleAudience audience)
    {
        var all = new List<Principal>();
        AddAny(all, from.Identities, i => Pattern(i, audience));
        AddAny(all, from.ServiceAccounts, a => Exactly($"spiffe://{trustDomain}/ns/{a.Namespace}/sa/{a.Name}", audience));
        AddAny(all, from.Namespaces, n => Below($"spiffe://{trustDomain}/ns/{n}/", audience));
        AddAny(all, from.TrustDomains, d => Below($"spiffe://{d}/", audience));
        if (from.Authenticated is { } authenticated)
        {
            all.Add(authenticated ? Authenticated(audience) : new Principal { NotId = Authenticated(audience) });
        }

        if (audience.KnowsNetworks)
        {
            AddAny(all, from.Networks, Network);
        }
        else if (!from.Networks.IsEmpty && isAllow)
        {
            return null;
        }

        if (!from.Claims.IsEmpty)
        {
            if (audience.KnowsClaims)
            {
                if (issuers.Count == 0)
                {
                    return null; // Nobody's tokens are believed here: no request has claims.
                }

                AddAny(all, issuers, i => And([.. from.Claims.Select(c => Claim(i.Key, c))]));
            }
            else if (isAllow)
            {
                return null;
            }
        }

        return all.Count switch { 0 => Anybody, 1 => all[0], _ => And(all) };
    }

    public static Principal And(IReadOnlyList<Principal> principals)
    {
        if (principals is [var one])
        {
            return one;
        }

        var set = new Principal.Types.Set();
        set.Ids.AddRange(principals);
        return new Principal { AndIds = set };
    }

    public static Principal Or(IReadOnlyList<Principal> principals)
    {
        if (principals is [var one])
        {
            return one;
        }

        var set = new Principal.Types.Set();
        set.Ids.AddRange(principals);
        return new Principal { OrIds = set };
    }

    private static void AddAny<T>(List<Principal> all, IReadOnlyList<T> alternatives, Func<T, Principal> write)
    {
        if (alternatives.Count > 0)
        {
            all.Add(Or([.. alternatives.Select(write)]));
        }
    }

    private static Principal Identity(StringMatcher name) => new() { Authenticated = new Principal.Types.Authenticated { PrincipalName = name } };

    private static Principal Exactly(string id, RuleAudience audience) => Identity(audience.IsMesh ? new StringMatcher { Exact = id } : Regex(Re2.Literal(id)));

    private static Principal Below(string start, RuleAudience audience) => Identity(audience.IsMesh ? new StringMatcher { Prefix = start } : Regex(Re2.Literal(start) + ".*"));

    private static Principal Pattern(string pattern, RuleAudience audience)
    {
        var rest = pattern.EndsWith("/**", StringComparison.Ordinal);
        var start = rest ? pattern[..^2] : pattern;
        return start.Contains('*', StringComparison.Ordinal) ? Identity(Regex(Re2.Segments(start) + (rest ? ".+" : string.Empty)))
            : rest ? Below(start, audience) : Exactly(start, audience);
    }

    private static Principal Network(NetworkMatch network)
    {
        var within = Networks([network.Cidr]);
        return network.Except.IsEmpty ? within : And([within, new Principal { NotId = Networks(network.Except) }]);
    }

    private static Principal Networks(ImmutableArray<IPNetwork> networks) => Or([.. networks.Select(n => Source(n.BaseAddress, n.PrefixLength))]);

    private static Principal Source(IPAddress address, int length) =>
        new() { DirectRemoteIp = new CidrRange { AddressPrefix = address.ToString(), PrefixLen = (uint)length } };

    private static Principal Claim(string provider, ClaimMatch claim)
    {
        var matcher = new MetadataMatcher { Filter = VerifiedClaims.Filter, Value = ClaimValue(claim.Values) };
        matcher.Path.Add(new MetadataMatcher.Types.PathSegment { Key = provider });
        matcher.Path.AddRange(claim.Path.Select(p => new MetadataMatcher.Types.PathSegment { Key = p }));
        return new Principal { Metadata = matcher };
    }

    /// <summary>The claim is one of the texts, or a list that has one.</summary>
    private static ValueMatcher ClaimValue(ImmutableArray<string> values)
    {
        if (values is ["*"])
        {
            return new ValueMatcher { PresentMatch = true };
        }

        var any = new OrMatcher();
        foreach (var value in values)
        {
            var text = new ValueMatcher { StringMatch = new StringMatcher { Exact = value } };
            any.ValueMatchers.Add(text);
            any.ValueMatchers.Add(new ValueMatcher { ListMatch = new ListMatcher { OneOf = text.Clone() } });
            if (value is "true" or "false")
            {
                any.ValueMatchers.Add(new ValueMatcher { BoolMatch = value == "true" });
            }
        }

        return new ValueMatcher { OrMatch = any };
    }

    private static StringMatcher Regex(string expression) => new() { SafeRegex = new RegexMatcher { GoogleRe2 = new Empty(), Regex = Re2.Group(expression) } };
}
