namespace Mesh.ControlPlane.Telemetry;

/// <summary>What numbers are summed by.</summary>
internal enum GoldenBy
{
    Pair,

    /// <summary>All that came in to a Service.</summary>
    Service,

    /// <summary>All that a workload sent.</summary>
    Workload,
    Route,
    Endpoint,
    Backend,
}

/// <summary>Whose account of a call counts.</summary>
internal enum GoldenView
{
    /// <summary>The caller's where it is meshed, else the called side's; never both (contracts §7).</summary>
    Auto,
    Client,
    Server,
}

/// <summary>One question about golden metrics, whatever keeps them. Null filters take all.</summary>
internal sealed record GoldenQuery(GoldenBy By, DateTimeOffset From, DateTimeOffset To)
{
    public GoldenView View { get; init; }

    public string? Source { get; init; }

    public string? SourceNamespace { get; init; }

    public string? Destination { get; init; }

    public string? DestinationNamespace { get; init; }

    /// <summary>Of either side.</summary>
    public string? Namespace { get; init; }

    public string? Route { get; init; }

    public string? Backend { get; init; }

    public string? Endpoint { get; init; }

    /// <summary>What ends so shortly before now is about now: reports come in intervals.</summary>
    public static readonly TimeSpan StillNow = TimeSpan.FromSeconds(15);

    /// <summary>Of <see cref="From"/>: all since the start of what keeps the numbers.</summary>
    public static DateTimeOffset Start => DateTimeOffset.MinValue;

    public bool IsSinceStart => From == Start;

    /// <summary>What arrives at endpoints and backends are attempts.</summary>
    public bool IsByAttempt => By is GoldenBy.Endpoint or GoldenBy.Backend || Endpoint is not null || Backend is not null;
}

/// <summary>Whom an item is about: only the names that the question groups by are set.</summary>
internal sealed record GoldenKey
{
    public string? Source { get; init; }

    public string? SourceNamespace { get; init; }

    public string? Destination { get; init; }

    public string? DestinationNamespace { get; init; }

    public string? Route { get; init; }

    public string? Backend { get; init; }

    public string? BackendNamespace { get; init; }

    public string? Endpoint { get; init; }

    /// <summary><c>client</c> or <c>server</c>: whose account it is; null where callers with and without a mesh were summed.</summary>
    public string? View { get; init; }
}
