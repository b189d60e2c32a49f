namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>The other replicas of this control plane, as far as a change of the root needs to know of them. Thread-safe.</summary>
internal interface IReplicas
{
    /// <summary>Whether what is due is ours to do now.</summary>
    bool IsOurTurn { get; }

    /// <summary>Whether a workload has shown another replica that it holds this version of the trust bundle.</summary>
    bool HeldElsewhere(string identity, string node, string version);

    /// <summary>Whom others wait for in this phase, and the replicas that have not said so.</summary>
    IReadOnlyList<RotationWait> WaitsElsewhere(TrustState state, TrustSnapshot trust);

    /// <summary>Called when one of the others has said something new; it must not block or throw.</summary>
    void Subscribe(Action changed);
}

/// <summary>There is no other.</summary>
internal sealed class OnlyReplica : IReplicas
{
    public static OnlyReplica Instance { get; } = new();

    /// <inheritdoc/>
    public bool IsOurTurn => true;

    /// <inheritdoc/>
    public bool HeldElsewhere(string identity, string node, string version) => false;

    /// <inheritdoc/>
    public IReadOnlyList<RotationWait> WaitsElsewhere(TrustState state, TrustSnapshot trust) => [];

    /// <inheritdoc/>
    public void Subscribe(Action changed)
    {
        // Nobody says anything.
    }
}
