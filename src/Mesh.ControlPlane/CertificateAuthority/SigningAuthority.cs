using Org.BouncyCastle.Crypto;
using X509Certificate = Org.BouncyCastle.X509.X509Certificate;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>A root, and who signs leaves in its name. Immutable.</summary>
/// <param name="origin">Whose keys these are: decides what is kept in the data folder.</param>
/// <param name="root">What everyone trusts.</param>
/// <param name="rootKey">Null where the root's key is not here: the issuer was signed elsewhere.</param>
/// <param name="issuer">Signs the leaves.</param>
/// <param name="intermediates">What stands between leaf and root, the issuer first; none where the root signs leaves itself.</param>
internal sealed class SigningAuthority(AuthorityOrigin origin, X509Certificate root, AsymmetricKeyParameter? rootKey, SigningPair issuer, IReadOnlyList<X509Certificate> intermediates)
{
    public AuthorityOrigin Origin => origin;

    public X509Certificate Root => root;

    public AsymmetricKeyParameter? RootKey => rootKey;

    public SigningPair Issuer => issuer;

    public IReadOnlyList<X509Certificate> Intermediates => intermediates;

    public string RootId { get; } = Certificates.Id(root);

    public bool RootSignsLeaves => intermediates.Count == 0;

    /// <summary>When we make the next issuer: at half of this one's life. Null for one that was signed elsewhere, and where the root signs leaves itself.</summary>
    public DateTimeOffset? RenewIssuerAt { get; } = rootKey is null || intermediates.Count == 0
        ? null
        : Certificates.NotBefore(issuer.Certificate) + ((Certificates.NotAfter(issuer.Certificate) - Certificates.NotBefore(issuer.Certificate)) / 2);
}

/// <summary>Where an authority comes from.</summary>
internal enum AuthorityOrigin
{
    /// <summary>We made root and issuer: both keys are in the data folder.</summary>
    Own,

    /// <summary>The operator gave the root (<c>--root-cert</c>, <c>--root-key</c>); its issuer is ours.</summary>
    GivenRoot,

    /// <summary>The operator gave the issuer (<c>--issuer</c>, <c>--issuer-cert</c>): no key of it is kept.</summary>
    GivenIssuer,
}
