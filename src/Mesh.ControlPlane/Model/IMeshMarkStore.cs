using Mesh.Spiffe;

namespace Mesh.ControlPlane.Model;

/// <summary>Remembers which addresses a verified identity has served. A mark is kept first, then in use; it is never taken back by a missing stream. Thread-safe.</summary>
internal interface IMeshMarkStore : IMeshMarks, IAsyncDisposable
{
    /// <summary>Called after new marks are in use.</summary>
    void Subscribe(Action changed);

    /// <summary>Remembers a mark soon: marks that come together are written together. The last one says who serves the address.</summary>
    /// <param name="transparent">A sidecar serves it.</param>
    void Record(string hostPort, SpiffeId id, bool transparent = false);
}
