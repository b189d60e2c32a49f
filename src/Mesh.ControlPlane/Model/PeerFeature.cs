using Mesh.Spiffe;

namespace Mesh.ControlPlane.Model;

/// <summary>Which of the control plane's ports a connection came in by. Flags: an endpoint says on which ports it answers.</summary>
[Flags]
internal enum PortKind
{
    None = 0,

    /// <summary>Plaintext ADS: never secrets, no identity.</summary>
    Ads = 1,

    /// <summary>TLS gRPC.</summary>
    Grpc = 2,

    /// <summary>HTTP API.</summary>
    Http = 4,

    /// <summary>HTTPS for the Kubernetes API server's webhooks.</summary>
    Webhook = 8,
}

/// <summary>Set on every connection by Hosting.</summary>
internal sealed record PortFeature(PortKind Kind);

/// <summary>Who the other end is: read from its certificate, which was verified in the handshake. Null Id: no certificate, or it is over or revoked by now.</summary>
/// <param name="Serial">Of the certificate, lower-case hexadecimal without leading zeros.</param>
internal sealed record PeerFeature(SpiffeId? Id, string? Serial = null);
