namespace Mesh.ControlPlane.Telemetry;

/// <summary>What one replica knows in answer to a question: counts, so that the parts of all replicas can be added before anything is divided.</summary>
/// <param name="Now">Its own clock, as it answered.</param>
internal sealed record GoldenPart(DateTimeOffset Now, DateTimeOffset ReachesBackTo, string Store, IReadOnlyList<MissingTime> Gaps, IReadOnlySet<Caller> Reporters, IReadOnlyList<PartItem> Items);

/// <summary>One key's counts by one side's account.</summary>
/// <param name="witnessedFrom">The caller, where the called side tells of it: counts in automatic view only while no replica hears that caller itself.</param>
internal sealed class PartItem(GoldenKey key, bool isServer, Caller? witnessedFrom, int steps)
{
    public GoldenKey Key => key;

    public bool IsServer => isServer;

    public Caller? WitnessedFrom => witnessedFrom;

    /// <summary>By step; null where nothing was counted.</summary>
    public GoldenCell?[] Cells { get; } = new GoldenCell?[steps];

    /// <summary>Since when this is counted.</summary>
    public DateTimeOffset First { get; set; } = DateTimeOffset.MaxValue;

    /// <summary>When this was last heard of.</summary>
    public DateTimeOffset Seen { get; set; }

    /// <summary>Open now; of Prometheus: at the end of the time.</summary>
    public long OpenConnections { get; set; }

    public void Cover(DateTimeOffset first, DateTimeOffset seen)
    {
        First = first < First ? first : First;
        Seen = seen > Seen ? seen : Seen;
    }

    public GoldenCell At(int step) => Cells[step] ??= new GoldenCell();
}
