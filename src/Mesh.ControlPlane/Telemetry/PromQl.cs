using System.Globalization;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>Questions to Prometheus. How much a counter went up is the difference of what was scraped at both ends: <c>increase()</c> extrapolates and is never exact.</summary>
/// <remarks>Counters that began again in the time are left out of the sums and asked for sample by sample.</remarks>
internal static class PromQl
{
    /// <summary>How far before the time a last value is looked for; who was silent for longer begins anew.</summary>
    public static readonly TimeSpan LookBack = TimeSpan.FromHours(1);

    /// <summary>Sums of increases by these labels, without counters that began again.</summary>
    /// <param name="selector">Name and matchers, such as <c>name{a="b"}</c>.</param>
    /// <param name="apart">A label that series which belong together differ in; empty: none.</param>
    public static string Increase(string selector, string by, DateTimeOffset from, DateTimeOffset to, string apart = "")
    {
        var last = $"last_over_time({selector}[{Seconds(to - from)}] @ {PrometheusServer.Number(to)})";
        var before = $"last_over_time({selector}[{Seconds(LookBack)}] @ {PrometheusServer.Number(from)})";
        return $"sum by ({by}) ((({last} - {before}) or {last}) unless ignoring ({apart}) ({Reset(selector, from, to, apart)}))";
    }

    /// <summary>What began again.</summary>
    public static string Reset(string selector, DateTimeOffset from, DateTimeOffset to, string apart = "") =>
        $"group without ({apart}) (resets({selector}[{Seconds(to - from + LookBack)}] @ {PrometheusServer.Number(to)}) > 0)";

    /// <summary>Every sample from which an increase can be told.</summary>
    public static string Samples(string name, IReadOnlyDictionary<string, string> labels, DateTimeOffset from, DateTimeOffset to) =>
        $"{name}{{{string.Join(',', labels.Where(l => l.Key != "__name__").Select(l => $"{l.Key}={PrometheusServer.Quoted(l.Value)}"))}}}[{Seconds(to - from + LookBack)}] @ {PrometheusServer.Number(to)}";

    /// <summary>How much it went up after <paramref name="from"/>, whatever began again.</summary>
    public static double Increase(IReadOnlyList<PromSample> samples, DateTimeOffset from)
    {
        // What was there before all samples is nothing: a counter begins with the process.
        double last = 0, sum = 0;
        foreach (var sample in samples)
        {
            sum += sample.At <= from ? 0 : sample.Value >= last ? sample.Value - last : sample.Value;
            last = sample.Value;
        }

        return sum;
    }

    public static string Selector(string name, params (string Label, string? Value)[] matchers) =>
        $"{name}{{{string.Join(',', matchers.Where(m => m.Value is not null).Select(m => $"{m.Label}={PrometheusServer.Quoted(m.Value!)}"))}}}";

    private static string Seconds(TimeSpan time) => string.Create(CultureInfo.InvariantCulture, $"{Math.Max(1, (long)time.TotalMilliseconds)}ms");
}
