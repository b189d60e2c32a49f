using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mesh.Identity;
using Mesh.Spiffe;

namespace Mesh.Testing;

/// <summary>A small certificate authority for tests: identities, server certificates, answers to signing requests.</summary>
internal sealed class TestCa : IDisposable
{
    private readonly ECDsa _key;
    private readonly ECDsa _signing;
    private readonly TimeProvider _time;

    /// <param name="withIssuer">Leaves are signed by an issuer below the root, as the control plane does it.</param>
    public TestCa(string trustDomain, TimeProvider? time = null, bool withIssuer = false)
    {
        _time = time ?? TimeProvider.System;
        _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        TrustDomain = TrustDomain.Parse(trustDomain);
        var request = new CertificateRequest($"CN={trustDomain} root", _key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        Root = request.CreateSelfSigned(_time.GetUtcNow().AddHours(-1), _time.GetUtcNow().AddDays(30));
        Bundle = new TrustBundle(TrustDomain, [Root]);
        _signing = withIssuer ? ECDsa.Create(ECCurve.NamedCurves.nistP256) : _key;
        Issuer = withIssuer ? CreateIssuer() : null;
    }

    private TestCa(TestCa first)
    {
        _time = first._time;
        TrustDomain = first.TrustDomain;
        _key = ECDsa.Create(first._key.ExportParameters(includePrivateParameters: true));
        Root = X509CertificateLoader.LoadCertificate(first.Root.RawData);
        Bundle = new TrustBundle(TrustDomain, [Root]);
        _signing = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        Issuer = CreateIssuer();
    }

    public TrustDomain TrustDomain { get; }

    public X509Certificate2 Root { get; }

    /// <summary>What signs leaves in the root's place.</summary>
    public X509Certificate2? Issuer { get; }

    public TrustBundle Bundle { get; }

    public string RootPem => Root.ExportCertificatePem();

    /// <summary>Where a test does not say it.</summary>
    public TimeSpan LeafLife { get; init; } = TimeSpan.FromHours(1);

    public WorkloadIdentity Identity(string ns, string sa, TimeSpan? life = null, int generation = 1)
    {
        var id = SpiffeId.ForServiceAccount(TrustDomain, ns, sa);
        return new WorkloadIdentity(new X509Svid(id, Leaf(names => names.AddUri(new Uri(id.ToString())), life), Issuers), Bundle, generation);
    }

    /// <summary>An identity whose leaf is as no authority would make it.</summary>
    public WorkloadIdentity Odd(OddLeaf odd, string sa = "cart")
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var id = SpiffeId.ForServiceAccount(TrustDomain, "shop", sa);
        var request = new CertificateRequest(new X500DistinguishedName("CN=odd"), key, HashAlgorithmName.SHA256);
        if (odd.Names is not null)
        {
            request.CertificateExtensions.Add(new X509Extension("2.5.29.17", odd.Names, true));
        }
        else
        {
            var names = new SubjectAlternativeNameBuilder();
            names.AddUri(new Uri((odd.Id ?? id).ToString()));
            request.CertificateExtensions.Add(names.Build(critical: true));
        }

        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(odd.IsAuthority, false, 0, true));
        AddAuthorityKey(request, Issuer ?? Root);
        if (odd.KeyUsage is { } usage)
        {
            request.CertificateExtensions.Add(new X509KeyUsageExtension(usage, true));
        }

        if (odd.Purposes.Length > 0)
        {
            request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([.. odd.Purposes.Select(oid => new Oid(oid))], false));
        }

        var (from, to) = (_time.GetUtcNow() + odd.Begins, _time.GetUtcNow() + odd.Ends);
        using var certificate = odd.IsSelfSigned
            ? request.CreateSelfSigned(from, to)
            : request.Create((Issuer ?? Root).SubjectName, X509SignatureGenerator.CreateForECDsa(_signing), from, to, Serial());
        var leaf = X509CertificateLoader.LoadCertificate(certificate.RawData).CopyWithPrivateKey(key);
        return new WorkloadIdentity(new X509Svid(id, leaf, Issuers), Bundle, 1);
    }

    /// <summary>The same root with another issuer below it, as after the control plane renewed its own.</summary>
    public TestCa SecondIssuer() => new(this);

    private X509Certificate2[] Issuers => Issuer is null ? [] : [Issuer];

    public X509Certificate2 Server(string dnsName, TimeSpan? life = null) => Leaf(names => names.AddDnsName(dnsName), life);

    /// <summary>A server certificate for loopback and names.</summary>
    public X509Certificate2 LoopbackServer(params IEnumerable<string> dnsNames) => Leaf(
        names =>
        {
            names.AddIpAddress(System.Net.IPAddress.Loopback);
            foreach (var name in dnsNames)
            {
                names.AddDnsName(name);
            }
        },
        null);

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
        _signing.Dispose();
        Issuer?.Dispose();
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

    /// <summary>Authorities of one name, such as two roots during a rotation, are told apart by it.</summary>
    private static void AddAuthorityKey(CertificateRequest request, X509Certificate2 issuer) =>
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(issuer, includeKeyIdentifier: true, includeIssuerAndSerial: false));

    private X509Certificate2 Issue(CertificateRequest request, TimeSpan? life)
    {
        AddAuthorityKey(request, Issuer ?? Root);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1"), new Oid("1.3.6.1.5.5.7.3.2")], false));
        var now = _time.GetUtcNow();
        return request.Create((Issuer ?? Root).SubjectName, X509SignatureGenerator.CreateForECDsa(_signing), now.AddMinutes(-5), now + (life ?? LeafLife), Serial());
    }

    private X509Certificate2 CreateIssuer()
    {
        var request = new CertificateRequest($"CN={TrustDomain} issuer", _signing, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, true, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        AddAuthorityKey(request, Root);
        return request.Create(Root.SubjectName, X509SignatureGenerator.CreateForECDsa(_key), _time.GetUtcNow().AddHours(-1), _time.GetUtcNow().AddDays(20), Serial());
    }

    private static byte[] Serial()
    {
        var serial = RandomNumberGenerator.GetBytes(16);
        serial[0] &= 0x7f;
        return serial;
    }
}

/// <summary>What is odd about a leaf; the defaults are what a leaf should be.</summary>
internal sealed record OddLeaf
{
    /// <summary>The whole subject alternative name, DER.</summary>
    public byte[]? Names { get; init; }

    public SpiffeId? Id { get; init; }

    public bool IsAuthority { get; init; }

    public bool IsSelfSigned { get; init; }

    public X509KeyUsageFlags? KeyUsage { get; init; } = X509KeyUsageFlags.DigitalSignature;

    public string[] Purposes { get; init; } = ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"];

    public TimeSpan Begins { get; init; } = TimeSpan.FromMinutes(-5);

    public TimeSpan Ends { get; init; } = TimeSpan.FromHours(1);
}
