namespace Mesh.Transparent.Admin;

/// <summary>What the admin port knows of the proxy and may ask of it. Thread-safe.</summary>
internal interface ISidecarState
{
    /// <summary>What is still missing, one sentence each; empty is ready.</summary>
    IReadOnlyList<string> NotReadyBecause();

    /// <summary>New connections are no longer taken, those in flight end, then the proxy does. Idempotent; returns at once.</summary>
    void BeginDrain();
}
