using Grpc.Core;

namespace Mesh.ControlPlane.Model;

/// <summary>The other replicas of this control plane, to ask each for its part of what workloads told it: numbers, clients, taps. Thread-safe.</summary>
/// <remarks>
/// Calls go over TLS to the others' gRPC port with the token that all replicas share. The side that answers asks <see cref="IsReplica"/> first.
/// Whoever asks bounds each call in time (2 s where one answer is awaited) and names who did not answer.
/// </remarks>
internal interface IReplicaPeers
{
    /// <summary>What the others call this one.</summary>
    string Own { get; }

    /// <summary>Those that should be there now, in the order of their names. Empty outside of a cluster.</summary>
    IReadOnlyList<ReplicaPeer> Others { get; }

    /// <summary>Whether a call came from another replica.</summary>
    bool IsReplica(Metadata requestHeaders);
}

/// <summary>One other replica.</summary>
/// <param name="Calls">Makes calls to it; null while it is not known where it is.</param>
/// <param name="Problem">Why it can't be called.</param>
internal sealed record ReplicaPeer(string Name, CallInvoker? Calls, string? Problem = null);

/// <summary>There is no other.</summary>
internal sealed class NoPeers(string own) : IReplicaPeers
{
    /// <inheritdoc/>
    public string Own => own;

    /// <inheritdoc/>
    public IReadOnlyList<ReplicaPeer> Others => [];

    /// <inheritdoc/>
    public bool IsReplica(Metadata requestHeaders) => false;
}
