using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mesh.Identity;
using Mesh.Spiffe;
using Org.BouncyCastle.Security;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>Certificates for the process that the authority runs in: the same leaf as by CSR, signed directly, because no key leaves the process and nobody is to be convinced.</summary>
internal sealed class InProcessSvidSource(Func<CancellationToken, Task<IServiceProvider>> controlPlane, SpiffeId id, string nodeId) : ISvidSource
{
    /// <inheritdoc/>
    public async Task<IssuedSvid> FetchAsync(WorkloadIdentity? current, CancellationToken cancellationToken)
    {
        var services = await controlPlane(cancellationToken);
        var issuer = services.GetRequiredService<Issuer>();
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var issued = issuer.IssueWorkload(
            id, PublicKeyFactory.CreateKey(key.ExportSubjectPublicKeyInfo()), services.GetRequiredService<LeafPolicyStore>().LeafLife, nodeId, "the control plane's own process");
        using var certificate = X509CertificateLoader.LoadCertificate(issued.Leaf.GetEncoded());
        return new IssuedSvid(
            new X509Svid(id, certificate.CopyWithPrivateKey(key), [.. issued.Authority.Intermediates.Select(i => X509CertificateLoader.LoadCertificate(i.GetEncoded()))]),
            issued.Trust.Bundle);
    }
}
