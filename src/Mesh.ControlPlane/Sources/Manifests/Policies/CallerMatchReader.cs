using System.Collections.Immutable;
using System.Net;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Sources.Manifests.Policies;

/// <summary>Reads one entry of a rule's <c>from</c>.</summary>
internal static class CallerMatchReader
{
    private const int MaxText = 512;
    private const int MaxClaimDepth = 8;

    /// <param name="ns">Of the policy: where a service account's bare name is meant.</param>
    public static CallerMatch Read(YamlMap from, string ns)
    {
        var match = new CallerMatch
        {
            Identities = ListFields.Texts(from, "identities", IdentityProblem),
            ServiceAccounts = [.. ListFields.Texts(from, "serviceAccounts", AccountProblem).Select(a => Account(a, ns)).Distinct()],
            Namespaces = ListFields.Texts(from, "namespaces", t => Names.IsLabel(t) ? null : Names.LabelRule),
            TrustDomains = ListFields.Texts(from, "trustDomains", t => TrustDomain.TryParse(t, out _, out _) ? null : "Use a trust domain such as cluster.local: 1–255 of a–z, 0–9, '.', '-' and '_'."),
            Authenticated = from.Flag("authenticated"),
            Networks = [.. ListFields.Maps(from, "networks").Select(ReadNetwork).OfType<NetworkMatch>()],
            Claims = [.. ListFields.Maps(from, "claims").Select(ReadClaim).OfType<ClaimMatch>()],
        };
        from.Close();
        if (match.Conditions == 0 && !from.Problems.Refused)
        {
            from.Problems.Refuse(from.Node, $"{from.Field("identities")} and the others are missing: the entry names nobody. Add a field such as serviceAccounts, or remove 'from' for any caller.");
        }

        if (match.Authenticated == false && match.Identities.Length + match.ServiceAccounts.Length + match.Namespaces.Length + match.TrustDomains.Length > 0)
        {
            from.Bad("authenticated", "false", "Who has no identity has none of those that the entry names: remove one of the two.");
        }

        return match;
    }

    private static ServiceName Account(string text, string ns) => text.Split('/') is [var space, var name] ? new ServiceName(space, name) : new ServiceName(ns, text);

    private static string? AccountProblem(string text) => text.Split('/') switch
    {
        [var name] when Names.IsSubdomain(name) => null,
        [var space, var name] when Names.IsLabel(space) && Names.IsSubdomain(name) => null,
        _ => "Use a service account's name (in the policy's namespace) or namespace/name, without wildcards: namespaces names all of one.",
    };

    private static string? IdentityProblem(string text)
    {
        if (text is "*" or "**")
        {
            return "Write authenticated: true for every identity of the mesh.";
        }

        var segments = text.Split('/');
        for (var i = 3; i < segments.Length; i++)
        {
            if (segments[i] == "**" && i < segments.Length - 1)
            {
                return "'**' stands for the rest: nothing may follow it. '*' is one segment.";
            }

            if (segments[i].Contains('*', StringComparison.Ordinal))
            {
                if (segments[i] is not ("*" or "**"))
                {
                    return $"'{segments[i]}' has a wildcard beside other characters. '*' stands for one whole segment, '**' at the end for the rest.";
                }

                segments[i] = "x";
            }
        }

        return SpiffeId.TryParse(string.Join('/', segments), out _, out var error) ? null : error;
    }

    private static NetworkMatch? ReadNetwork(YamlMap network)
    {
        IPNetwork? cidr = null;
        if (network.Text("cidr", required: true) is { } text && (cidr = ListFields.Cidr(text, out var problem)) is null)
        {
            network.Bad("cidr", text, problem!);
        }

        var except = ListFields.Texts(network, "except", t => ListFields.Cidr(t, out var why) is not { } inner ? why
            : cidr is { } outer && !(outer.Contains(inner.BaseAddress) && inner.PrefixLength >= outer.PrefixLength) ? $"It is not within {outer}: remove it."
            : null);
        network.Close();
        return cidr is null ? null : new NetworkMatch(cidr.Value, [.. except.Select(e => ListFields.Cidr(e, out _)!.Value)]);
    }

    private static ClaimMatch? ReadClaim(YamlMap claim)
    {
        var name = claim.Text("name", required: true);
        if (claim.Find("values") is null)
        {
            claim.Missing("values", "Add the texts of which one must be there, or [\"*\"] for any.");
        }

        var values = ListFields.Texts(claim, "values", v => v.Length is 0 or > MaxText ? $"Use 1–{MaxText} characters." : null);
        if (values.Contains("*") && values.Length > 1)
        {
            claim.Problems.Refuse(claim.Find("values")!.Value, $"{claim.Field("values")} has '*' beside others. '*' alone asks that the claim is there.");
        }

        claim.Close();
        if (name is null)
        {
            return null;
        }

        // Names of public claims are often URIs (OpenID Connect §5.1.2), whose dots part nothing.
        ImmutableArray<string> path = name.Contains('/', StringComparison.Ordinal) ? [name] : [.. name.Split('.')];
        if (path.Length > MaxClaimDepth || path.Any(p => p.Length is 0 or > MaxText || p.Any(char.IsControl)))
        {
            claim.Bad("name", name, $"Use a claim such as groups, or one in objects such as realm_access.roles, at most {MaxClaimDepth} deep. A name with '/' is one claim.");
        }

        return new ClaimMatch(path, values);
    }
}
