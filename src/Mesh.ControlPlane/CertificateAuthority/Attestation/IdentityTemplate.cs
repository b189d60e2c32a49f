using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.CertificateAuthority.Attestation;

/// <summary>Which claims make the identity: <c>ns/{claim}/sa/{claim}</c>, parts literal or from claims; a claim inside another is <c>{outer.inner}</c>.</summary>
internal sealed class IdentityTemplate
{
    private readonly string _namespace;
    private readonly string _account;

    private IdentityTemplate(string ns, string account) => (_namespace, _account) = (ns, account);

    public static bool TryParse(string text, [NotNullWhen(true)] out IdentityTemplate? template, [NotNullWhen(false)] out string? problem)
    {
        template = null;
        problem = null;
        if (text.Split('/') is not ["ns", { Length: > 0 } ns, "sa", { Length: > 0 } account] || !IsPart(ns) || !IsPart(account) || !text.Contains('{', StringComparison.Ordinal))
        {
            problem = $"'{text}' is no identity made of claims. Use the form ns/{{claim}}/sa/{{claim}}, such as 'ns/{{team}}/sa/{{sub}}'.";
            return false;
        }

        template = new IdentityTemplate(ns, account);
        return true;
    }

    /// <summary>Null when a claim is missing or holds what no identity may.</summary>
    public SpiffeId? Fill(JsonElement claims, TrustDomain trustDomain, [NotNullWhen(false)] out string? problem)
    {
        problem = null;
        if (Part(_namespace, claims) is not { } ns || Part(_account, claims) is not { } account)
        {
            problem = $"The token lacks a text claim of '{_namespace}' and '{_account}', which its identity is made of.";
            return null;
        }

        var id = KubernetesUser.Identity(trustDomain, ns, account);
        problem = id is null ? $"The token's claims make 'ns/{KubernetesUser.Shown(ns)}/sa/{KubernetesUser.Shown(account)}', which is no identity." : null;
        return id;
    }

    private static bool IsPart(string part) => part[0] == '{' ? part.Length > 2 && part.IndexOf('}', StringComparison.Ordinal) == part.Length - 1 : part.IndexOfAny(['{', '}']) < 0;

    private static string? Part(string part, JsonElement claims) => part[0] == '{' ? Claim(part[1..^1], claims) : part;

    /// <summary>Names may have dots themselves ("kubernetes.io"): the longest that is there counts.</summary>
    private static string? Claim(string path, JsonElement claims)
    {
        if (claims.ValueKind != JsonValueKind.Object)
        {
            return null;
        }

        if (claims.TryGetProperty(path, out var value))
        {
            return value.ValueKind == JsonValueKind.String ? value.GetString() : null;
        }

        for (var dot = path.LastIndexOf('.'); dot > 0; dot = path.LastIndexOf('.', dot - 1))
        {
            if (claims.TryGetProperty(path[..dot], out var inner))
            {
                return Claim(path[(dot + 1)..], inner);
            }
        }

        return null;
    }
}
