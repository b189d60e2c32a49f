using Grpc.Core;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Xds;

/// <summary>Whether the peer of an open stream is still believed: its certificate was so when the stream began, and may end or be revoked while it lasts.</summary>
internal sealed class PeerStanding(TrustBundleStore trust, TimeProvider time, SpiffeId? identity, string? serial)
{
    /// <summary>What the peer's certificate rests on; null without one, and in the own process.</summary>
    private readonly Peer? _peer = identity is null || serial is null ? null : trust.Chains.Of(identity, serial);

    /// <summary>It ends by the clock, while nothing else happens.</summary>
    public bool CanEnd => _peer is not null;

    /// <exception cref="RpcException">It is not.</exception>
    public void Check()
    {
        if (identity is not null && (_peer is null ? trust.Current.RevocationOf(identity, serial) : trust.Current.RevocationOf(_peer)) is { } revoked)
        {
            throw new RpcException(new Status(StatusCode.PermissionDenied, revoked));
        }

        if (identity is not null && serial is not null && (_peer is null || _peer.NotAfter <= time.GetUtcNow()))
        {
            throw new RpcException(new Status(StatusCode.Unauthenticated, $"The certificate {serial} of '{identity}', or its issuer, is over. Connect again with a newer one."));
        }
    }
}
