using Mesh.Concurrency;

namespace Mesh.ControlPlane.Model;

/// <summary>Holds the model in force, as SnapshotStore does on the other side.</summary>
internal sealed class ModelStore() : WatchedValue<MeshModel>(MeshModel.Empty);
