using Mesh.ControlPlane.Telemetry;

namespace Mesh.ControlPlane.Insight;

/// <summary>Whether anything is broken, or was, where, since when, and what changed (docs/api.md).</summary>
/// <param name="Services">Worst first.</param>
internal sealed record Overview(
    InsightBasis Basis, MeshStatus Status, IReadOnlyList<ServiceHealth> Services, IReadOnlyList<MeshChange> Changes, IReadOnlyList<FaultItem> Faults) : InsightDocument(Basis)
{
    /// <summary>Who was connected and ready, and which faults were injected, is known of now alone.</summary>
    public static readonly IReadOnlyList<string> OnlyOfNow = ["faults", "services.meshed", "services.endpoints", "services.faults"];
}

/// <summary>One Service in the overview.</summary>
/// <param name="Meshed">Every ready endpoint is; null of a time past.</param>
/// <param name="Endpoints">Null of a time past.</param>
/// <param name="Faults">How many are injected; null of a time past.</param>
internal sealed record ServiceHealth(
    string Namespace, string Name, HealthLevel Level, bool? Meshed, IReadOnlyList<Reason> Reasons, GoldenNumbers Golden, Baseline? Baseline, Spark Spark, EndpointTotals? Endpoints, int? Faults);

/// <summary>What was usual in the hour before.</summary>
internal sealed record Baseline(double SuccessRate, double P99Ms, double Rps)
{
    /// <returns>Null: nobody called.</returns>
    public static Baseline? Of(GoldenNumbers before) => before.Requests == 0
        ? null
        : new Baseline(before.EffectiveSuccessRate, before.P99Ms, before.Rps);
}

/// <summary>The last quarter of an hour of the time in few points; null where nothing was measured.</summary>
internal sealed record Spark(DateTimeOffset T0, int StepS, IReadOnlyList<double?> Rps, IReadOnlyList<double?> SuccessRate, IReadOnlyList<double?> P99Ms)
{
    public static Spark Of(GoldenSeries? series, DateTimeOffset from, TimeSpan step)
    {
        if (series is null)
        {
            return new Spark(from, (int)step.TotalSeconds, [], [], []);
        }

        var points = Enumerable.Range(0, series.Requests.Count).ToList();
        return new Spark(
            series.T0, (int)step.TotalSeconds,
            [.. points.Select(i => series.Requests[i] is { } requests ? Math.Round(requests / step.TotalSeconds, 3) : (double?)null)],
            [.. points.Select(i => series.Requests[i] is > 0 and { } requests ? Math.Round(1 - ((double)(series.Failures[i] ?? 0) / requests), 5) : (double?)null)],
            [.. series.P99Ms]);
    }
}
