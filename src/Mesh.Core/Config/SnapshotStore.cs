using Mesh.Concurrency;

namespace Mesh.Config;

/// <summary>Holds the snapshot in force.</summary>
internal sealed class SnapshotStore() : WatchedValue<MeshSnapshot>(MeshSnapshot.Empty);
