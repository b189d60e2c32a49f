namespace Mesh.ControlPlane.Api;

/// <summary>This replica and the others, for people. Thread-safe.</summary>
internal abstract class ReplicaView
{
    /// <summary>What the others call this one.</summary>
    public abstract string Own { get; }

    public abstract IReadOnlyList<ReplicaEntry> All { get; }
}

/// <param name="Reachable">It has said lately that it lives.</param>
internal sealed record ReplicaEntry(string Name, bool Leader, bool Reachable);

/// <summary>Outside of a cluster there is one.</summary>
internal sealed class OnlyOne : ReplicaView
{
    public override string Own { get; } = Environment.MachineName.ToLowerInvariant();

    public override IReadOnlyList<ReplicaEntry> All => [new ReplicaEntry(Own, Leader: true, Reachable: true)];
}
