using Mesh.Spiffe;

namespace Mesh.ControlPlane.CertificateAuthority.Attestation;

/// <summary>A service account as Kubernetes names it to others: <c>system:serviceaccount:&lt;namespace&gt;:&lt;name&gt;</c>.</summary>
internal static class KubernetesUser
{
    private const string Prefix = "system:serviceaccount:";

    public static SpiffeId? Read(string? user, TrustDomain trustDomain) =>
        user is not null && user.StartsWith(Prefix, StringComparison.Ordinal) && user[Prefix.Length..].Split(':') is [{ Length: > 0 } ns, { Length: > 0 } account]
            ? Identity(trustDomain, ns, account)
            : null;

    /// <summary>Null when a part has characters that no path segment may hold.</summary>
    public static SpiffeId? Identity(TrustDomain trustDomain, string ns, string account) =>
        SpiffeId.TryParse($"spiffe://{trustDomain}/ns/{ns}/sa/{account}", out var id) && id.Namespace == ns && id.ServiceAccount == account ? id : null;

    /// <summary>What others wrote, fit for a log: short and printable.</summary>
    public static string Shown(string? text) =>
        text is null ? "nothing" : string.Concat(text.Take(120).Select(c => c is >= ' ' and <= '~' ? c : '?'));
}
