using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Mesh.Spiffe;

namespace Mesh.Identity;

/// <summary>SslStream options for both ends of a mesh connection: TLS 1.3, mutual, verified by SPIFFE ID.</summary>
internal static class MeshTls
{
    /// <summary>Offered by every mesh client and never selected: it tells mesh TLS from the app's own (contracts §4).</summary>
    public static readonly SslApplicationProtocol Marker = new("meshlib.io/1");

    private static readonly List<SslApplicationProtocol> ClientProtocols = [Marker, SslApplicationProtocol.Http2, SslApplicationProtocol.Http11];
    private static readonly List<SslApplicationProtocol> ClientHttp11 = [Marker, SslApplicationProtocol.Http11];
    private static readonly List<SslApplicationProtocol> ServerProtocols = [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11];

    /// <param name="expected">The only identity that may answer.</param>
    /// <param name="http2">Offer HTTP/2 beside HTTP/1.1.</param>
    /// <param name="onRefused">Told why a peer was refused, before the handshake fails.</param>
    public static SslClientAuthenticationOptions ForClient(WorkloadIdentity identity, SpiffeId expected, bool http2, Action<string> onRefused) => new()
    {
        // SNI carries no name that anyone checks; a constant keeps TLS resumption per endpoint handler.
        TargetHost = "mesh.invalid",
        ClientCertificateContext = identity.CertificateContext,
        EnabledSslProtocols = SslProtocols.Tls13,
        ApplicationProtocols = http2 ? ClientProtocols : ClientHttp11,
        CertificateChainPolicy = identity.CreateChainPolicy(),
        RemoteCertificateValidationCallback = (_, certificate, _, errors) => Verify(identity, certificate, errors, expected, onRefused),
    };

    public static SslServerAuthenticationOptions ForServer(WorkloadIdentity identity, Action<string> onRefused) => new()
    {
        ServerCertificateContext = identity.CertificateContext,
        ClientCertificateRequired = true,
        EnabledSslProtocols = SslProtocols.Tls13,
        ApplicationProtocols = ServerProtocols,
        CertificateChainPolicy = identity.CreateChainPolicy(),
        RemoteCertificateValidationCallback = (_, certificate, _, errors) => Verify(identity, certificate, errors, null, onRefused),
    };

    private static bool Verify(WorkloadIdentity identity, X509Certificate? certificate, SslPolicyErrors errors, SpiffeId? expected, Action<string> onRefused)
    {
        if (PeerVerifier.TryVerify(identity.Bundle, certificate, errors, expected, out _, out var problem))
        {
            return true;
        }

        onRefused(problem);
        return false;
    }
}
