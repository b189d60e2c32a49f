namespace Mesh.Cli;

/// <summary>A request and its answer, as the API shows them.</summary>
internal sealed record TappedRequest(
    string Side, string Source, string SourceNamespace, string Instance, string Destination, string DestinationNamespace, string? Peer, string? Endpoint, string Method, string Authority, string Path,
    string? Route, int? Status, int? GrpcStatus, string? Error, double LatencyMs, int Attempts, string Tls, string? TraceId,
    IReadOnlyDictionary<string, string>? RequestHeaders, IReadOnlyDictionary<string, string>? ResponseHeaders)
{
    /// <summary>It goes on; status and latency are so far.</summary>
    public bool Open { get; init; }

    /// <summary>The same of what was shown while it went on, and of its end.</summary>
    public string? Stream { get; init; }
}

/// <summary>Requests that are alike, as the API counts them.</summary>
internal sealed record TopLine(
    string Source, string SourceNamespace, string Destination, string DestinationNamespace, string Method, string Path, long Count, double BestMs, double WorstMs, double LastMs, double SuccessRate);
