using System.Collections.Frozen;
using Mesh.Tap;
using Mesh.Telemetry;

namespace Mesh.Benchmarks;

/// <summary>What of telemetry is on.</summary>
/// <param name="Metrics">Calls are counted, at both sides, and all of it is written out once a second.</param>
/// <param name="TraceRatio">Of calls, how many are traced; null: spans are not recorded at all.</param>
/// <param name="TapPath">Somebody looks, at both sides, at requests to this path, 100 a second at most; null: nobody does.</param>
internal sealed record TelemetryMode(string Name, bool Metrics = true, double? TraceRatio = null, string? TapPath = null)
{
    /// <summary>What the others are held against. Measured twice in each round.</summary>
    public static TelemetryMode Off { get; } = new("off", Metrics: false);

    /// <summary>The same again: what this tells from <see cref="Off"/> is noise.</summary>
    public static TelemetryMode Control { get; } = new("off again", Metrics: false);

    public static TelemetryMode MetricsAlone { get; } = new("metrics");

    public static IReadOnlyList<TelemetryMode> All { get; } =
    [
        Off, Control, MetricsAlone,
        // The default of Mesh:Traces:Ratio.
        new("metrics and traces 1 %", TraceRatio: 0.01),
        new("metrics and traces 100 %", TraceRatio: 1),
        new("metrics and a tap of nothing", TapPath: "/never"),
        new("metrics and a tap of all", TapPath: string.Empty),
    ];

    /// <summary>As an app has it by default but for the share.</summary>
    public TraceSettings? Traces => TraceRatio is { } ratio ? new TraceSettings(ratio, Failed: true, TimeSpan.FromSeconds(1)) : null;

    public TapSettings? Tap => TapPath is { } path
        ? new TapSettings("bench", new TapSide("", "", []), new TapSide("", "", []), "", path, default, TimeSpan.Zero, 100, FrozenSet<string>.Empty) { Opens = true }
        : null;
}
