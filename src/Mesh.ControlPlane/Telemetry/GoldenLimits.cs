namespace Mesh.ControlPlane.Telemetry;

/// <summary>What the store may take.</summary>
internal sealed record GoldenLimits(int MaxSeries, long MaxBytes)
{
    /// <summary>How long is kept by 10 s.</summary>
    public static readonly TimeSpan FineKept = TimeSpan.FromHours(6);

    /// <summary>How long is kept by 5 min.</summary>
    public static readonly TimeSpan CoarseKept = TimeSpan.FromDays(7);

    /// <summary>Longest time that one report may be about; a claim of more is cut to it.</summary>
    public static readonly TimeSpan LongestTook = TimeSpan.FromMinutes(15);

    public static readonly GoldenLimits Default = new(20_000, 64L << 20);
}

/// <summary>How full the store is.</summary>
internal sealed record GoldenFill(string Kind, long Bytes, long MaxBytes, int Series, int MaxSeries, int OverflowedSeries, DateTimeOffset Oldest);
