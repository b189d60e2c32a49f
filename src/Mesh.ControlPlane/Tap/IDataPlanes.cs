namespace Mesh.ControlPlane.Tap;

/// <summary>The workloads that attend: each holds a stream to this replica. Thread-safe.</summary>
internal interface IDataPlanes
{
    /// <summary>How many attend.</summary>
    int Count { get; }

    /// <summary>Somebody looks at numbers: for so long they come every second. Call it again while somebody still looks; it costs nothing to call it often.</summary>
    void Hurry(TimeSpan lasts);
}
