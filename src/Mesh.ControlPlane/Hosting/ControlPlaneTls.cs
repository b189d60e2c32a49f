using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Model;
using Mesh.Identity;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Hosting;

/// <summary>TLS of the gRPC port: a client may come without certificate (to get its first), but not with a wrong one.</summary>
internal sealed partial class ControlPlaneTls(ServingCertificate serving, TrustBundle bundle, TimeProvider time, ILogger<ControlPlaneTls> logger)
{
    private static readonly List<SslApplicationProtocol> Protocols = [SslApplicationProtocol.Http2];

    public SslServerAuthenticationOptions Options()
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
        };
        foreach (var root in bundle.Roots)
        {
            policy.CustomTrustStore.Add(root);
        }

        return new SslServerAuthenticationOptions
        {
            ServerCertificateContext = serving.Current,
            EnabledSslProtocols = SslProtocols.Tls13,
            ApplicationProtocols = Protocols,
            // Asks for one; whether one must come is decided below.
            ClientCertificateRequired = true,
            CertificateChainPolicy = policy,
            RemoteCertificateValidationCallback = (_, certificate, _, errors) => Verify(certificate, errors),
        };
    }

    /// <summary>Whose verified certificate the connection has; null for none, or one that is over by now.</summary>
    public PeerFeature Peer(X509Certificate2? certificate) =>
        certificate is not null
        && new DateTimeOffset(certificate.NotAfter.ToUniversalTime()) > time.GetUtcNow()
        && SpiffeCertificate.TryReadId(certificate, out var id, out _)
        && id.Namespace is not null
            ? new PeerFeature(id)
            : new PeerFeature(null);

    private bool Verify(X509Certificate? certificate, SslPolicyErrors errors)
    {
        if (certificate is null || PeerVerifier.TryVerify(bundle, certificate, errors, null, out _, out var problem))
        {
            return true;
        }

        Log.PeerRefused(logger, problem);
        return false;
    }

    private static partial class Log
    {
        [LoggerMessage(4900, LogLevel.Warning, "Refused a TLS client: {Problem}", EventName = nameof(PeerRefused))]
        public static partial void PeerRefused(ILogger logger, string problem);
    }
}
