using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Mesh.Spiffe;

namespace Mesh.Identity;

/// <summary>SslStream options for both ends of a mesh connection: TLS 1.3, mutual, verified by SPIFFE ID.</summary>
/// <remarks>Groups and cipher suites are left to the platform, so that a hybrid post-quantum exchange is used where it has one.</remarks>
internal static class MeshTls
{
    /// <summary>Offered by every mesh client and never selected: it tells mesh TLS from the app's own (contracts §4).</summary>
    public static readonly SslApplicationProtocol Marker = new("meshlib.io/1");

    /// <summary>Selected when what is inside is bytes of a protocol that is not the mesh's business.</summary>
    public static readonly SslApplicationProtocol Tcp = new("meshlib.io/tcp");

    private static readonly List<SslApplicationProtocol> ClientProtocols = [Marker, SslApplicationProtocol.Http2, SslApplicationProtocol.Http11];
    private static readonly List<SslApplicationProtocol> ClientHttp11 = [Marker, SslApplicationProtocol.Http11];
    private static readonly List<SslApplicationProtocol> ClientTcp = [Marker, Tcp];
    private static readonly List<SslApplicationProtocol> ServerProtocols = [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11];
    private static readonly List<SslApplicationProtocol> ServerProtocolsAndTcp = [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11, Tcp];

    /// <param name="expected">The only identity that may answer.</param>
    /// <param name="http2">Offer HTTP/2 beside HTTP/1.1.</param>
    /// <param name="onRefused">Told why a peer was refused, before the handshake fails.</param>
    /// <param name="onVerified">Told who the peer is, before the handshake ends.</param>
    public static SslClientAuthenticationOptions ForClient(
        WorkloadIdentity identity, SpiffeId expected, bool http2, Action<PeerRefusal> onRefused, Action<Peer>? onVerified = null) =>
        ForClient(identity, expected, http2 ? HopProtocol.Http : HopProtocol.Http11, onRefused, onVerified);

    /// <inheritdoc cref="ForClient(WorkloadIdentity, SpiffeId, bool, Action{PeerRefusal}, Action{Peer}?)"/>
    public static SslClientAuthenticationOptions ForClient(
        WorkloadIdentity identity, SpiffeId expected, HopProtocol protocol, Action<PeerRefusal> onRefused, Action<Peer>? onVerified = null) => new()
    {
        // SNI carries no name that anyone checks; a constant keeps TLS resumption per endpoint handler.
        TargetHost = "mesh.invalid",
        ClientCertificateContext = identity.CertificateContext,
        EnabledSslProtocols = SslProtocols.Tls13,
        AllowRenegotiation = false,
        ApplicationProtocols = protocol switch { HopProtocol.Http => ClientProtocols, HopProtocol.Http11 => ClientHttp11, _ => ClientTcp },
        CertificateChainPolicy = identity.CreateChainPolicy(),
        RemoteCertificateValidationCallback = (_, certificate, chain, errors) => Verify(identity, certificate, chain, errors, expected, peerIsServer: true, onRefused, onVerified),
    };

    /// <param name="takesTcp">Bytes of any protocol are taken beside HTTP.</param>
    /// <inheritdoc cref="ForClient(WorkloadIdentity, SpiffeId, bool, Action{PeerRefusal}, Action{Peer}?)"/>
    public static SslServerAuthenticationOptions ForServer(WorkloadIdentity identity, Action<PeerRefusal> onRefused, Action<Peer>? onVerified = null, bool takesTcp = false) => new()
    {
        ServerCertificateContext = identity.CertificateContext,
        ClientCertificateRequired = true,
        EnabledSslProtocols = SslProtocols.Tls13,
        AllowRenegotiation = false,
        ApplicationProtocols = takesTcp ? ServerProtocolsAndTcp : ServerProtocols,
        CertificateChainPolicy = identity.CreateChainPolicy(),
        RemoteCertificateValidationCallback = (_, certificate, chain, errors) => Verify(identity, certificate, chain, errors, null, peerIsServer: false, onRefused, onVerified),
    };

    // Runs at every handshake, a resumed one too.
    private static bool Verify(
        WorkloadIdentity identity, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors, SpiffeId? expected, bool peerIsServer, Action<PeerRefusal> onRefused, Action<Peer>? onVerified)
    {
        if (PeerVerifier.Verify(identity.Bundle, certificate, chain, errors, expected, peerIsServer, out var id) is { } refusal)
        {
            onRefused(refusal);
            return false;
        }

        identity.Learn(chain!);
        onVerified?.Invoke(Peer.From(id, chain!));
        return true;
    }
}

/// <summary>What a mesh connection is to carry.</summary>
internal enum HopProtocol
{
    /// <summary>HTTP/2, or HTTP/1.1 where the peer has no other.</summary>
    Http,

    /// <summary>HTTP/1.1 alone.</summary>
    Http11,

    /// <summary>Bytes of any protocol (<see cref="MeshTls.Tcp"/>).</summary>
    Tcp,
}
