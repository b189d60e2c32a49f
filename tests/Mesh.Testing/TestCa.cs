using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mesh.Identity;
using Mesh.Spiffe;

namespace Mesh.Testing;

/// <summary>A certificate authority for tests: real chains, real SPIFFE IDs.</summary>
internal sealed class TestCa : IDisposable
{
    private readonly TrustDomain _trustDomain;
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public TestCa(string trustDomain)
    {
        _trustDomain = TrustDomain.Parse(trustDomain);
        var request = new CertificateRequest($"CN={trustDomain} test root", _key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        var now = TimeProvider.System.GetUtcNow();
        Root = request.CreateSelfSigned(now.AddHours(-1), now.AddDays(1));
        Bundle = new TrustBundle(_trustDomain, [X509CertificateLoader.LoadCertificate(Root.RawData)]);
    }

    public X509Certificate2 Root { get; }

    public TrustBundle Bundle { get; }

    public WorkloadIdentity Identity(string ns, string sa, TimeSpan? life = null, int generation = 1)
    {
        var id = SpiffeId.ForServiceAccount(_trustDomain, ns, sa);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(string.Empty, key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddUri(new Uri(id.ToString()));
        request.CertificateExtensions.Add(names.Build(critical: true));
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1"), new Oid("1.3.6.1.5.5.7.3.2")], false));
        var now = TimeProvider.System.GetUtcNow();
        using var leaf = request.Create(Root, now.AddMinutes(-1), now + (life ?? TimeSpan.FromHours(1)), RandomNumberGenerator.GetBytes(16));
        return new WorkloadIdentity(new X509Svid(id, leaf.CopyWithPrivateKey(key), []), Bundle, generation);
    }

    public void Dispose()
    {
        _key.Dispose();
        Root.Dispose();
    }
}
