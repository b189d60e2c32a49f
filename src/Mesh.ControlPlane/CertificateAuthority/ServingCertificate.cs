using System.Net;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Org.BouncyCastle.Security;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>The control plane's own certificate for its TLS port; a handshake after half its life, or under a new issuer, gets a new one. Thread-safe.</summary>
internal sealed class ServingCertificate(Issuer issuer, IPAddress listen, TimeProvider time)
{
    /// <summary>The name that workloads expect (contracts §5).</summary>
    public const string Name = "mesh-control-plane";

    private static readonly TimeSpan Life = TimeSpan.FromHours(24);
    private readonly Lock _lock = new();
    private SslStreamCertificateContext? _context;
    private SigningAuthority? _signer;
    private DateTimeOffset _renewAt;
    private DateTimeOffset _notAfter;

    public DateTimeOffset NotAfter
    {
        get
        {
            lock (_lock)
            {
                return _notAfter;
            }
        }
    }

    public SslStreamCertificateContext Current
    {
        get
        {
            lock (_lock)
            {
                var now = time.GetUtcNow();
                if (_context is null || now >= _renewAt || !ReferenceEquals(_signer, issuer.Current))
                {
                    _context = Make();
                    _renewAt = now + (Life / 2);
                    _notAfter = now + Life;
                }

                return _context;
            }
        }
    }

    private SslStreamCertificateContext Make()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var publicKey = PublicKeyFactory.CreateKey(key.ExportSubjectPublicKeyInfo());
        IPAddress[] addresses = [.. new[] { IPAddress.Loopback, IPAddress.IPv6Loopback, listen }.Distinct().Where(a => !a.Equals(IPAddress.Any) && !a.Equals(IPAddress.IPv6Any))];
        var issued = issuer.IssueServer([Name, "localhost"], addresses, publicKey, Life);
        _signer = issued.Authority;
        using var bare = X509CertificateLoader.LoadCertificate(issued.Leaf.GetEncoded());
        X509Certificate2Collection between = [.. issued.Authority.Intermediates.Select(i => X509CertificateLoader.LoadCertificate(i.GetEncoded()))];
        return SslStreamCertificateContext.Create(bare.CopyWithPrivateKey(key), between, offline: true);
    }
}
