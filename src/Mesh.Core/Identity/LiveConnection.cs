using Mesh.Spiffe;

namespace Mesh.Identity;

/// <summary>A connection that was made under an identity of ours to or from a verified peer. <see cref="Drain"/> and <see cref="Close"/> are called once at most, in any order, and must not block or throw.</summary>
internal abstract class LiveConnection(WorkloadIdentity? identity, Peer peer)
{
    /// <summary>What was shown and believed in when it was made; null: no certificate of ours was shown.</summary>
    public WorkloadIdentity? Identity => identity;

    public Peer Peer => peer;

    /// <summary>Whether its peer would still be believed; null when it would.</summary>
    public virtual PeerRefusal? Recheck(WorkloadIdentity current) => PeerVerifier.Recheck(current.Bundle, peer);

    /// <summary>No new requests; it closes when what runs has ended.</summary>
    public abstract void Drain();

    /// <summary>It ends now.</summary>
    /// <param name="reason">One of <see cref="PeerRefusals"/> or <see cref="ConnectionEnds"/>.</param>
    /// <param name="problem">One sentence for people.</param>
    public abstract void Close(string reason, string problem);
}

/// <summary>Why a connection was ended, besides its peer: a bounded set.</summary>
internal static class ConnectionEnds
{
    /// <summary>Our certificate was renewed, and the connection outlived the old one.</summary>
    public const string Replaced = "certificate_replaced";

    /// <summary>Our certificate ended and there is no newer one.</summary>
    public const string Over = "certificate_over";
}
