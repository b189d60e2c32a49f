namespace Mesh.Tap;

/// <summary>A request and its answer as they leave this process: text is harmless, secrets are not in it.</summary>
internal sealed record TapExchange(bool Server, DateTimeOffset At, TimeSpan Latency)
{
    public string PeerName { get; init; } = string.Empty;

    public string PeerNamespace { get; init; } = string.Empty;

    public string PeerIdentity { get; init; } = string.Empty;

    public string Endpoint { get; init; } = string.Empty;

    public string Method { get; init; } = string.Empty;

    public string Authority { get; init; } = string.Empty;

    /// <summary>Without a query, which may hold what is nobody's business.</summary>
    public string Path { get; init; } = string.Empty;

    public string Route { get; init; } = string.Empty;

    /// <summary>It goes on; what is said of it is so far.</summary>
    public bool Open { get; init; }

    /// <summary>The number under which it was shown while it went on; 0: it was not.</summary>
    public long Stream { get; init; }

    /// <summary>HTTP; 0 without an answer.</summary>
    public int Status { get; init; }

    /// <summary>-1 when there is none.</summary>
    public int GrpcStatus { get; init; } = -1;

    public string Error { get; init; } = string.Empty;

    public bool Failed { get; init; }

    public int Attempts { get; init; } = 1;

    public bool MeshTls { get; init; }

    public string TraceId { get; init; } = string.Empty;

    public Dictionary<string, string> RequestHeaders { get; } = [];

    public Dictionary<string, string> ResponseHeaders { get; } = [];
}
