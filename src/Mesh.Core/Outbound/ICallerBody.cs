namespace Mesh.Outbound;

/// <summary>A request body that is read from another connection while it is sent, as a sidecar's is.</summary>
internal interface ICallerBody
{
    /// <summary>It could not be read: the caller left, or sent what is no body. The called side is not to blame then.</summary>
    bool CallerFailed { get; }
}
