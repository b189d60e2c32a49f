namespace Mesh.Config;

/// <summary>What brings snapshots in: xDS, memory, files. Thread-safe.</summary>
internal interface IConfigSource
{
    /// <summary>Where the answers appear.</summary>
    SnapshotStore Snapshots { get; }

    /// <summary>Asks for a listener and all it refers to. Idempotent and cheap; the answer, also "does not exist", arrives in a later snapshot.</summary>
    void Watch(string listenerName);

    /// <summary>The listener is no longer of interest.</summary>
    void Unwatch(string listenerName);
}
