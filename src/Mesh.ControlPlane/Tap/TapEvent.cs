namespace Mesh.ControlPlane.Tap;

/// <summary>A request and its answer, as somebody who looks is shown it (docs/api.md). Its texts are harmless, its secrets were never here.</summary>
/// <param name="Side"><c>client</c> or <c>server</c>: who saw it.</param>
internal sealed record TapEvent(
    DateTimeOffset At, string Side, string Source, string SourceNamespace, string Instance, string Destination, string DestinationNamespace, string? Peer, string? Endpoint,
    string Method, string Authority, string Path, string? Route, int? Status, int? GrpcStatus, string? Error, double LatencyMs, int Attempts, string Tls, string? TraceId)
{
    public bool Failed { get; init; }

    /// <summary>It goes on; status and latency are so far.</summary>
    public bool Open { get; init; }

    /// <summary>The same of what was shown while it went on, and of its end; null: it was shown at its end alone.</summary>
    public string? Stream { get; init; }

    /// <summary>The verified identity of who saw it.</summary>
    public string Reporter { get; init; } = string.Empty;

    public IReadOnlyDictionary<string, string> RequestHeaders { get; init; } = System.Collections.ObjectModel.ReadOnlyDictionary<string, string>.Empty;

    public IReadOnlyDictionary<string, string> ResponseHeaders { get; init; } = System.Collections.ObjectModel.ReadOnlyDictionary<string, string>.Empty;
}
