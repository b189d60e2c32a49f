using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Model;
using Mesh.Identity;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Hosting;

/// <summary>TLS of the gRPC port: a client may come without certificate (to get its first), but not with a wrong one.</summary>
internal sealed partial class ControlPlaneTls(ServingCertificate serving, TrustBundleStore trust, MeshAuthority authority, ILogger<ControlPlaneTls> logger)
{
    private static readonly List<SslApplicationProtocol> Protocols = [SslApplicationProtocol.Http2];

    /// <summary>Read once: each connection keeps its options as long as it stands.</summary>
    private volatile Issuers? _issuers;

    public SslServerAuthenticationOptions Options()
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
        };
        var now = trust.Current;
        foreach (var root in now.Bundle.Roots)
        {
            policy.CustomTrustStore.Add(root);
        }

        // Clients that send their leaf alone are understood too.
        policy.ExtraStore.AddRange(IssuersOf(authority.State.Signing));

        return new SslServerAuthenticationOptions
        {
            ServerCertificateContext = serving.Current,
            EnabledSslProtocols = SslProtocols.Tls13,
            // A resumed session has the client's leaf alone: under an issuer that was renewed since it could not be verified (ADR 11). Streams live long; a full handshake is cheap.
            AllowTlsResume = false,
            ApplicationProtocols = Protocols,
            // Asks for one; whether one must come is decided below.
            ClientCertificateRequired = true,
            CertificateChainPolicy = policy,
            RemoteCertificateValidationCallback = (_, certificate, chain, errors) => Verify(now, certificate, chain, errors),
        };
    }

    private X509Certificate2[] IssuersOf(SigningAuthority signing)
    {
        if (_issuers is not { } known || !ReferenceEquals(known.Signing, signing))
        {
            _issuers = known = new Issuers(signing, [.. signing.Intermediates.Select(i => X509CertificateLoader.LoadCertificate(i.GetEncoded()))]);
        }

        return known.Certificates;
    }

    /// <summary>Whose verified certificate the connection has; null for none, or one of whose chain anything is over, revoked or no longer trusted by now.</summary>
    public PeerFeature Peer(X509Certificate2? certificate)
    {
        var now = trust.Current;
        return certificate is not null
            && SpiffeCertificate.TryReadId(certificate, out var id, out _)
            && id.Namespace is not null
            && trust.Chains.Of(id, TrustBundle.SerialOf(certificate)) is { } peer
            && now.Bundle.HasRoot(peer.Root)
            && now.RevocationOf(peer) is null
                ? new PeerFeature(id, peer.Serials[0])
                : new PeerFeature(null);
    }

    private bool Verify(TrustSnapshot now, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        if (certificate is null)
        {
            return true;
        }

        var problem = PeerVerifier.Verify(now.Bundle, certificate, chain, errors, null, peerIsServer: false, out var id)?.Problem;
        if (problem is null)
        {
            // Leaf and issuers alike: the connection will tell the leaf alone.
            var peer = Spiffe.Peer.From(id, chain!);
            problem = now.RevocationOf(peer);
            if (problem is null)
            {
                trust.Chains.Remember(peer);
                return true;
            }
        }

        Log.PeerRefused(logger, problem);
        return false;
    }

    private sealed record Issuers(SigningAuthority Signing, X509Certificate2[] Certificates);

    private static partial class Log
    {
        [LoggerMessage(4900, LogLevel.Warning, "Refused a TLS client: {Problem}", EventName = nameof(PeerRefused))]
        public static partial void PeerRefused(ILogger logger, string problem);
    }
}
