using System.Net;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Org.BouncyCastle.Security;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>The control plane's own certificate for its TLS port; a handshake after half its life, or under a new issuer, gets a new one. Thread-safe.</summary>
/// <remarks>While an earlier root is trusted its certificate stays in use: who starts with the bundle of before can verify no other.</remarks>
/// <param name="names">Beside the fixed one, which workloads expect.</param>
internal sealed class ServingCertificate(Issuer issuer, IPAddress listen, TimeProvider time, IReadOnlyList<string>? names = null)
{
    /// <summary>The name that workloads expect (contracts §5).</summary>
    public const string Name = "mesh-control-plane";

    private static readonly TimeSpan Life = TimeSpan.FromHours(24);

    /// <summary>Left of a certificate that can't be had again when another takes its place; and the most that one is old when its root signs no more.</summary>
    private static readonly TimeSpan Margin = TimeSpan.FromHours(1);
    private readonly Lock _lock = new();
    private SslStreamCertificateContext? _context;
    private IssuedLeaf? _issued;
    private DateTimeOffset _madeAt;

    public DateTimeOffset NotAfter
    {
        get
        {
            lock (_lock)
            {
                return _issued is null ? DateTimeOffset.MinValue : Certificates.NotAfter(_issued.Leaf);
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
                if (_context is null || !MayStayLocked(_issued!, now))
                {
                    (_context, _issued) = Make();
                    _madeAt = now;
                }

                return _context;
            }
        }
    }

    private bool MayStayLocked(IssuedLeaf issued, DateTimeOffset now)
    {
        // A clock that jumped back: it may not be valid yet.
        if (now < _madeAt || !issuer.Trust.Believes(issued))
        {
            return false;
        }

        var (state, notAfter) = (issuer.State, Certificates.NotAfter(issued.Leaf));
        if (issued.Authority.RootId != state.Signing.RootId)
        {
            return now < notAfter - Margin;
        }

        var half = (notAfter - _madeAt) / 2;
        // Soon its root signs no more: then it should have most of its life before it.
        var renewAfter = state.Phase == RotationPhase.Distributing && Margin < half ? Margin : half;
        return ReferenceEquals(issued.Authority, state.Signing) && now < _madeAt + renewAfter;
    }

    private (SslStreamCertificateContext Context, IssuedLeaf Issued) Make()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var publicKey = PublicKeyFactory.CreateKey(key.ExportSubjectPublicKeyInfo());
        IPAddress[] addresses = [.. new[] { IPAddress.Loopback, IPAddress.IPv6Loopback, listen }.Distinct().Where(a => !a.Equals(IPAddress.Any) && !a.Equals(IPAddress.IPv6Any))];
        var issued = issuer.IssueServer([Name, "localhost", .. names ?? []], addresses, publicKey, Life);
        using var bare = X509CertificateLoader.LoadCertificate(issued.Leaf.GetEncoded());
        X509Certificate2Collection between = [.. issued.Authority.Intermediates.Select(i => X509CertificateLoader.LoadCertificate(i.GetEncoded()))];
        return (SslStreamCertificateContext.Create(bare.CopyWithPrivateKey(key), between, offline: true), issued);
    }
}
