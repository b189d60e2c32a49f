using Mesh.Spiffe;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>A connected workload, as far as it has said what it trusts.</summary>
/// <param name="Asks">Whether it follows the trust bundle over its stream at all.</param>
/// <param name="Held">Version of the trust bundle that it took last; null when it took none.</param>
internal sealed record TrustHolder(SpiffeId Identity, string Node, bool Asks, string? Held);

/// <summary>Knows who is connected.</summary>
internal interface ITrustHolders
{
    IReadOnlyList<TrustHolder> Holders { get; }

    /// <summary>Called when a workload took a trust bundle, came or went; it must not block or throw.</summary>
    void SubscribeHolders(Action changed);
}
