using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mesh.Identity;
using Mesh.Spiffe;

namespace Mesh.Testing;

/// <summary>A small certificate authority for tests: identities, server certificates, answers to signing requests.</summary>
internal sealed class TestCa : IDisposable
{
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly TimeProvider _time;

    public TestCa(string trustDomain, TimeProvider? time = null)
    {
        _time = time ?? TimeProvider.System;
        TrustDomain = TrustDomain.Parse(trustDomain);
        var request = new CertificateRequest($"CN={trustDomain} root", _key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        Root = request.CreateSelfSigned(_time.GetUtcNow().AddHours(-1), _time.GetUtcNow().AddDays(30));
        Bundle = new TrustBundle(TrustDomain, [Root]);
    }

    public TrustDomain TrustDomain { get; }

    public X509Certificate2 Root { get; }

    public TrustBundle Bundle { get; }

    public string RootPem => Root.ExportCertificatePem();

    public WorkloadIdentity Identity(string ns, string sa, TimeSpan? life = null, int generation = 1)
    {
        var id = SpiffeId.ForServiceAccount(TrustDomain, ns, sa);
        return new WorkloadIdentity(new X509Svid(id, Leaf(names => names.AddUri(new Uri(id.ToString())), life), []), Bundle, generation);
    }

    public X509Certificate2 Server(string dnsName, TimeSpan? life = null) => Leaf(names => names.AddDnsName(dnsName), life);

    /// <summary>Signs a request as asked, or for another identity.</summary>
    public X509Certificate2 Sign(string csrPem, TimeSpan? life = null, SpiffeId? instead = null)
    {
        var request = CertificateRequest.LoadSigningRequestPem(csrPem, HashAlgorithmName.SHA256, CertificateRequestLoadOptions.UnsafeLoadCertificateExtensions);
        if (instead is not null)
        {
            request.CertificateExtensions.Clear();
            var names = new SubjectAlternativeNameBuilder();
            names.AddUri(new Uri(instead.ToString()));
            request.CertificateExtensions.Add(names.Build(critical: true));
        }

        return Issue(request, life);
    }

    public void Dispose()
    {
        _key.Dispose();
        Root.Dispose();
    }

    private X509Certificate2 Leaf(Action<SubjectAlternativeNameBuilder> name, TimeSpan? life)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(new X500DistinguishedName([0x30, 0x00]), key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        name(names);
        request.CertificateExtensions.Add(names.Build(critical: true));
        using var certificate = Issue(request, life);
        return certificate.CopyWithPrivateKey(key);
    }

    private X509Certificate2 Issue(CertificateRequest request, TimeSpan? life)
    {
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1"), new Oid("1.3.6.1.5.5.7.3.2")], false));
        var serial = RandomNumberGenerator.GetBytes(16);
        serial[0] &= 0x7f;
        var now = _time.GetUtcNow();
        return request.Create(Root.SubjectName, X509SignatureGenerator.CreateForECDsa(_key), now.AddMinutes(-5), now + (life ?? TimeSpan.FromHours(1)), serial);
    }
}
