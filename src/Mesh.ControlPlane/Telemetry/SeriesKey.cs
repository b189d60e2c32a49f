namespace Mesh.ControlPlane.Telemetry;

/// <summary>What a series counts. The numbers stand in files: none is ever given a second meaning.</summary>
internal enum SeriesKind
{
    /// <summary>Calls, as their caller saw them.</summary>
    Call = 1,

    /// <summary>Attempts of calls that reached an endpoint.</summary>
    Attempt = 2,

    /// <summary>Attempts that reached nobody.</summary>
    LostAttempt = 3,

    /// <summary>Requests, as the called side saw them.</summary>
    Served = 4,

    /// <summary>Decisions of a client side: the source is the workload, route the decision, backend the reason.</summary>
    ClientDecision = 5,

    /// <summary>Decisions of a server side, likewise.</summary>
    ServerDecision = 6,

    /// <summary>Connections out whose bytes are no HTTP, that ended.</summary>
    ClientConnection = 7,

    /// <summary>Connections in whose bytes are no HTTP, that ended.</summary>
    ServerConnection = 8,

    /// <summary>Bytes that the client side of connections took from who called: they go to the called side. Older files have some whose destination is not known.</summary>
    ClientReceived = 9,

    /// <summary>Bytes that the client side of connections gave back to who called.</summary>
    ClientSent = 10,

    /// <summary>Bytes that the server side of connections took for the called side. Older files have some whose source is not known.</summary>
    ServerReceived = 11,

    /// <summary>Bytes that the server side of connections gave back.</summary>
    ServerSent = 12,

    /// <summary>Connections out whose bytes are no HTTP, that began.</summary>
    ClientOpened = 13,

    /// <summary>Connections in whose bytes are no HTTP, that began.</summary>
    ServerOpened = 14,
}

/// <summary>One thing that is counted. What a kind does not have is empty.</summary>
internal readonly record struct SeriesKey(SeriesKind Kind, string Source, string SourceNamespace, string Destination, string DestinationNamespace)
{
    public string Route { get; init; } = string.Empty;

    /// <summary>The Service whose endpoint it is.</summary>
    public string Backend { get; init; } = string.Empty;

    public string BackendNamespace { get; init; } = string.Empty;

    public string Endpoint { get; init; } = string.Empty;

    public bool IsDecision => Kind is SeriesKind.ClientDecision or SeriesKind.ServerDecision;

    /// <summary>The called side's account.</summary>
    public bool IsServer => Kind is SeriesKind.Served or SeriesKind.ServerConnection or SeriesKind.ServerReceived or SeriesKind.ServerSent or SeriesKind.ServerOpened;
}

/// <summary>A service account that calls others.</summary>
internal readonly record struct Caller(string ServiceAccount, string Namespace);
