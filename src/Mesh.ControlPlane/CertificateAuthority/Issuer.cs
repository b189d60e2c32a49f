using System.Net;
using Mesh.Spiffe;
using Org.BouncyCastle.Asn1.X509;
using Org.BouncyCastle.Crypto;
using Org.BouncyCastle.Security;
using X509Certificate = Org.BouncyCastle.X509.X509Certificate;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>A leaf, and what came with it.</summary>
/// <param name="Authority">Who signed it.</param>
/// <param name="Trust">The roots in force at that moment.</param>
internal sealed record IssuedLeaf(X509Certificate Leaf, SigningAuthority Authority, TrustSnapshot Trust)
{
    /// <summary>Leaf, what stands between, the other roots in force, and last the root that it is under (docs/contracts.md).</summary>
    public IEnumerable<X509Certificate> Chain =>
        [Leaf, .. Authority.Intermediates, .. Trust.Roots.Where(r => Certificates.Id(r) != Authority.RootId), Authority.Root];
}

/// <summary>Signs leaves under the authority in force and notes each. Thread-safe.</summary>
internal sealed class Issuer(MeshAuthority authority, IssuanceLog issued, TimeProvider time)
{
    private readonly SecureRandom _random = new();

    public SigningAuthority Current => authority.State.Signing;

    public TrustState State => authority.State;

    /// <summary>Whom everyone is told to trust.</summary>
    public TrustSnapshot Trust => authority.Trust;

    /// <summary>A leaf that certifies exactly one SPIFFE ID.</summary>
    /// <param name="node">What the asker calls itself; only shown.</param>
    /// <param name="attested">How it showed who it is.</param>
    public IssuedLeaf IssueWorkload(SpiffeId id, AsymmetricKeyParameter publicKey, TimeSpan life, string node, string attested) => authority.Sign((signing, trust) =>
    {
        var now = time.GetUtcNow();
        var leaf = Leaves.Make(signing.Issuer, new GeneralNames(new GeneralName(GeneralName.UniformResourceIdentifier, id.ToString())), publicKey, now, life, _random);
        issued.Add(new Issuance(id.ToString(), node, Certificates.Serial(leaf), now, Certificates.NotBefore(leaf), Certificates.NotAfter(leaf))
        {
            Root = signing.RootId,
            Roots = trust.RootsVersion,
            Issuer = signing.Issuer.Certificate.SubjectDN.ToString(),
            Key = Certificates.KeyKind(publicKey),
            Attested = attested,
        });
        return new IssuedLeaf(leaf, signing, trust);
    });

    /// <summary>A leaf for the control plane's own TLS port.</summary>
    public IssuedLeaf IssueServer(IEnumerable<string> dnsNames, IEnumerable<IPAddress> addresses, AsymmetricKeyParameter publicKey, TimeSpan life) =>
        authority.Sign((signing, trust) => new IssuedLeaf(
            Leaves.Make(
                signing.Issuer,
                new GeneralNames([
                    .. dnsNames.Select(n => new GeneralName(GeneralName.DnsName, n)),
                    .. addresses.Select(a => new GeneralName(GeneralName.IPAddress, a.ToString())),
                ]),
                publicKey, time.GetUtcNow(), life, _random),
            signing, trust));
}
