namespace Mesh.Transparent.Admin;

/// <summary>What the admin port asks of the running proxy. Thread-safe.</summary>
internal interface ISidecarState
{
    /// <summary>The steps that are missing, each in words; empty when ready.</summary>
    IReadOnlyList<string> NotReadyBecause();

    /// <summary>The proxy is to finish what runs and to stop. Nothing when it does already.</summary>
    void BeginDrain();
}
