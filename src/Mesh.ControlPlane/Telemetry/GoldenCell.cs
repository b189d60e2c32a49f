namespace Mesh.ControlPlane.Telemetry;

/// <summary>Which of a cell's counts. Replicas tell each other by number: new ones come last.</summary>
internal enum CellPart
{
    Calls,
    Attempts,
    Lost,
    Served,
    Connections,
    Received,
    Sent,
    Opened,
}

/// <summary>All that was counted of one key in one step of time: what is added before anything is divided. Not thread-safe.</summary>
internal sealed class GoldenCell
{
    public static readonly int Parts = Enum.GetValues<CellPart>().Length;

    private static readonly SeriesCounts Nothing = new();
    private readonly SeriesCounts?[] _parts = new SeriesCounts?[Parts];

    public static CellPart? PartOf(SeriesKind kind) => kind switch
    {
        SeriesKind.Call => CellPart.Calls,
        SeriesKind.Attempt => CellPart.Attempts,
        SeriesKind.LostAttempt => CellPart.Lost,
        SeriesKind.Served => CellPart.Served,
        SeriesKind.ClientConnection or SeriesKind.ServerConnection => CellPart.Connections,
        SeriesKind.ClientReceived or SeriesKind.ServerReceived => CellPart.Received,
        SeriesKind.ClientSent or SeriesKind.ServerSent => CellPart.Sent,
        SeriesKind.ClientOpened or SeriesKind.ServerOpened => CellPart.Opened,
        _ => null,
    };

    public SeriesCounts? Known(CellPart part) => _parts[(int)part];

    /// <summary>To be added to.</summary>
    public SeriesCounts Of(CellPart part) => _parts[(int)part] ??= new SeriesCounts();

    public void Add(GoldenCell other)
    {
        for (var i = 0; i < Parts; i++)
        {
            if (other._parts[i] is { } counts)
            {
                (_parts[i] ??= new SeriesCounts()).Add(counts);
            }
        }
    }

    public bool IsEmpty => Array.TrueForAll(_parts, p => p is null || p.Total == 0);

    /// <param name="byAttempt">Of endpoints and backends: what arrived there are attempts.</param>
    /// <param name="over">How long was counted.</param>
    public GoldenNumbers Numbers(bool byAttempt, TimeSpan over)
    {
        var (served, reached, lost) = (Read(CellPart.Served), Read(CellPart.Attempts), Read(CellPart.Lost));
        // What the called side saw is seen once: its call is its attempt.
        var calls = byAttempt ? reached : Read(CellPart.Calls);
        var (good, bad, cancelled) = (calls.Good + served.Good, calls.Bad + served.Bad, calls.Cancelled + served.Cancelled);
        var (attemptsGood, attemptsBad) = (reached.Good + lost.Good + served.Good, reached.Bad + lost.Bad + served.Bad);
        var requests = good + bad + cancelled;
        var attempts = reached.Total + lost.Total + served.Total;
        var durations = new BucketCounts();
        durations.Add(calls.Durations);
        durations.Add(served.Durations);

        // What a caller gave up was asked for all the same, but says nothing of how well it was answered.
        return new GoldenNumbers(
            requests, bad, cancelled, attempts, attemptsBad, byAttempt ? 0 : Math.Max(0, attempts - requests),
            Share(attemptsGood, attemptsGood + attemptsBad), Share(good, good + bad),
            Math.Round(requests / Math.Max(1, over.TotalSeconds), 3), Ms(durations, 0.50), Ms(durations, 0.95), Ms(durations, 0.99),
            attempts == 0 ? ConnectionsSecured() : (double)(reached.Tls + lost.Tls + served.Tls) / attempts)
        {
            Connections = Read(CellPart.Connections).Total,
            OpenedConnections = Read(CellPart.Opened).Good,
            ReceivedBytes = Read(CellPart.Received).Good,
            SentBytes = Read(CellPart.Sent).Good,
        };
    }

    private static double Share(long good, long all) => all == 0 ? 1 : (double)good / all;

    private static double Ms(BucketCounts durations, double share) => Math.Round(durations.Quantile(share) * 1000, 3);

    private SeriesCounts Read(CellPart part) => _parts[(int)part] ?? Nothing;

    /// <summary>Where nothing but connections was seen.</summary>
    private double ConnectionsSecured() => Read(CellPart.Connections) is { Total: > 0 } connections ? (double)connections.Tls / connections.Total : 0;
}
