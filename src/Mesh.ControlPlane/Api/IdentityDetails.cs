using Mesh.ControlPlane.CertificateAuthority;
using X509Certificate = Org.BouncyCastle.X509.X509Certificate;

namespace Mesh.ControlPlane.Api;

/// <summary>One certificate of a chain.</summary>
/// <param name="Role"><c>leaf</c>, <c>issuer</c> or <c>root</c>.</param>
/// <param name="Known">False when it is not here any more: an issuer that was renewed since. Only its name is known then.</param>
internal sealed record ChainEntry(string Role, string Subject, string? Serial, IReadOnlyList<string> Names, string? Key, DateTimeOffset? NotBefore, DateTimeOffset? NotAfter, bool Known);

/// <summary>A workload's certificate and all above it.</summary>
internal sealed record IdentityDetails(IdentityEntry Workload, IReadOnlyList<ChainEntry> Chain)
{
    public static IReadOnlyList<IdentityDetails> Of(IEnumerable<IdentityEntry> workloads, TrustState state, TrustSnapshot trust) =>
        [.. workloads.Select(w => new IdentityDetails(w, [Leaf(w), .. Above(w, state, trust)]))];

    private static ChainEntry Leaf(IdentityEntry entry) => new("leaf", string.Empty, entry.Serial, [$"URI:{entry.Identity}"], entry.Key, entry.NotBefore, entry.NotAfter, true);

    private static IEnumerable<ChainEntry> Above(IdentityEntry entry, TrustState state, TrustSnapshot trust)
    {
        var root = trust.Roots.FirstOrDefault(r => Certificates.Id(r) == entry.Root);
        var signers = new[] { state.Signing, state.Next }.OfType<SigningAuthority>().FirstOrDefault(a => a.RootId == entry.Root && a.Issuer.Certificate.SubjectDN.ToString() == entry.Issuer);
        if (signers is not null)
        {
            foreach (var between in signers.Intermediates)
            {
                yield return Of("issuer", between);
            }
        }
        else if (entry.Issuer is not null && entry.Issuer != root?.SubjectDN.ToString())
        {
            yield return new ChainEntry("issuer", entry.Issuer, null, [], null, null, null, false);
        }

        yield return root is not null ? Of("root", root) : new ChainEntry("root", entry.Root ?? "unknown", null, [], null, null, null, false);
    }

    private static ChainEntry Of(string role, X509Certificate certificate) => new(
        role, certificate.SubjectDN.ToString(), Certificates.Serial(certificate), Names(certificate), Certificates.KeyKind(certificate.GetPublicKey()),
        Certificates.NotBefore(certificate), Certificates.NotAfter(certificate), true);

    private static IReadOnlyList<string> Names(X509Certificate certificate) =>
        [.. (certificate.GetSubjectAlternativeNameExtension()?.GetNames() ?? []).Where(n => n.TagNo == Org.BouncyCastle.Asn1.X509.GeneralName.UniformResourceIdentifier).Select(n => $"URI:{n.Name}")];
}
