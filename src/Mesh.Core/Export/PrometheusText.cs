using System.Globalization;
using System.Text;
using Mesh.Telemetry;

namespace Mesh.Export;

/// <summary>Measurements as text, part by part, so that no scrape holds all of it in memory: Prometheus' format 0.0.4, or OpenMetrics 1.0.0.</summary>
/// <remarks>Names are those of OpenTelemetry's translation: dots become underscores, units become suffixes, counters end in <c>_total</c>.</remarks>
internal static class PrometheusText
{
    /// <summary>Ends a document.</summary>
    public static string End(TextFormat format) => format == TextFormat.OpenMetrics ? "# EOF\n" : string.Empty;

    /// <summary>Who is measured (OpenTelemetry's <c>target_info</c>).</summary>
    public static string Target(string workload, string @namespace, string instance, TextFormat format = TextFormat.Prometheus)
    {
        var labels = Labels([new("service.name", workload), new("service.namespace", @namespace), new("service.instance.id", instance)]);
        var type = format == TextFormat.OpenMetrics ? "# HELP target Who is measured.\n# TYPE target info" : "# HELP target_info Who is measured.\n# TYPE target_info gauge";
        return $"{type}\ntarget_info{{{labels}}} 1\n";
    }

    /// <summary>All histograms with their counts since the start. What an exporter takes is not missing here, and nothing is missing there.</summary>
    public static IEnumerable<string> Histograms(MetricAggregate aggregate, TextFormat format = TextFormat.Prometheus)
    {
        foreach (var family in aggregate.Series.GroupBy(s => s.Name, StringComparer.Ordinal).OrderBy(g => g.Key, StringComparer.Ordinal))
        {
            var name = PrometheusNames.Of(family.Key, "s", isCounter: false);
            yield return Header(name, "histogram", "s", Help(family.Key), format);
            foreach (var series in family)
            {
                yield return Histogram(name, series, format);
            }
        }
    }

    /// <summary>All counters since the start.</summary>
    public static IEnumerable<string> Counters(CounterTotals counters, TextFormat format = TextFormat.Prometheus)
    {
        foreach (var family in counters.All.GroupBy(c => c.Name, StringComparer.Ordinal).OrderBy(g => g.Key, StringComparer.Ordinal))
        {
            var first = family.First().Like;
            var name = PrometheusNames.Of(family.Key, first.Unit, isCounter: true);
            var bare = name[..^"_total".Length];
            var text = new StringBuilder(Header(format == TextFormat.OpenMetrics ? bare : name, "counter", first.Unit, first.Description, format));
            foreach (var counter in family)
            {
                var braced = Braced(Labels(counter.Tags));
                text.Append(name).Append(braced).Append(' ').Append(CultureInfo.InvariantCulture, $"{counter.Total}\n");
                Created(text, bare, braced, counter.Start, format);
            }

            yield return text.ToString();
        }
    }

    /// <summary>All gauges as they are now.</summary>
    public static IEnumerable<string> Gauges(IReadOnlyList<GaugeSample> gauges, TextFormat format = TextFormat.Prometheus)
    {
        foreach (var family in gauges.GroupBy(g => g.Instrument.Name, StringComparer.Ordinal).OrderBy(g => g.Key, StringComparer.Ordinal))
        {
            var instrument = family.First().Instrument;
            yield return Gauge(family.Key, instrument.Unit ?? string.Empty, instrument.Description ?? string.Empty, format, [.. family.Select(g => (g.Tags.ToArray(), g.Value))]);
        }
    }

    /// <summary>One gauge, or the samples of one.</summary>
    /// <param name="name">In OpenTelemetry's form.</param>
    public static string Gauge(string name, string unit, string help, TextFormat format, params (KeyValuePair<string, string>[] Tags, double Value)[] samples)
    {
        var translated = PrometheusNames.Of(name, unit, isCounter: false);
        var text = new StringBuilder(Header(translated, "gauge", unit, help, format));
        foreach (var (tags, value) in samples)
        {
            text.Append(translated).Append(Braced(Labels(tags))).Append(' ').Append(Number(value)).Append('\n');
        }

        return text.ToString();
    }

    private static string Histogram(string name, MetricSeries series, TextFormat format)
    {
        var durations = series.Durations;
        var totals = durations.Totals();
        var exemplar = format == TextFormat.OpenMetrics ? durations.Exemplar.Latest : null;
        var labels = Labels(series.Tags);
        var text = new StringBuilder(2048);
        long count = 0;
        var below = double.NegativeInfinity;
        for (var i = 0; i < totals.Counts.Count; i++)
        {
            count += totals.Counts[i];
            var bound = i < DurationHistogram.TotalBounds.Count ? DurationHistogram.TotalBounds[i] : double.PositiveInfinity;
            text.Append(name).Append("_bucket{").Append(labels).Append(labels.Length > 0 ? "," : string.Empty).Append("le=\"")
                .Append(format == TextFormat.OpenMetrics ? Float(bound) : Number(bound)).Append("\"} ").Append(CultureInfo.InvariantCulture, $"{count}");
            if (exemplar is { Duration.TotalSeconds: var seconds } && seconds > below && seconds <= bound && count > 0)
            {
                text.Append(CultureInfo.InvariantCulture, $" # {{trace_id=\"{exemplar.TraceId}\",span_id=\"{exemplar.SpanId}\"}} {Number(seconds)} {Seconds(exemplar.At)}");
            }

            text.Append('\n');
            below = bound;
        }

        var braced = Braced(labels);
        text.Append(name).Append("_sum").Append(braced).Append(' ').Append(Number(totals.Sum.TotalSeconds)).Append('\n');
        // The last bucket, so that both agree whatever is recorded meanwhile.
        text.Append(name).Append("_count").Append(braced).Append(' ').Append(CultureInfo.InvariantCulture, $"{count}\n");
        Created(text, name, braced, series.Start, format);
        return text.ToString();
    }

    private static void Created(StringBuilder text, string name, string braced, DateTimeOffset start, TextFormat format)
    {
        if (format == TextFormat.OpenMetrics)
        {
            text.Append(name).Append("_created").Append(braced).Append(' ').Append(Seconds(start)).Append('\n');
        }
    }

    private static string Header(string name, string type, string unit, string help, TextFormat format)
    {
        var escaped = help.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
        var header = help.Length == 0 ? $"# TYPE {name} {type}\n" : $"# HELP {name} {escaped}\n# TYPE {name} {type}\n";
        return format == TextFormat.OpenMetrics && PrometheusNames.Suffix(unit) is { Length: > 0 } suffix ? $"{header}# UNIT {name} {suffix}\n" : header;
    }

    private static string Braced(string labels) => labels.Length == 0 ? string.Empty : $"{{{labels}}}";

    /// <summary>Tags whose names become the same are one label, their values joined by <c>;</c> (OpenTelemetry).</summary>
    private static string Labels(IEnumerable<KeyValuePair<string, string>> tags) => string.Join(',', tags
        .GroupBy(t => PrometheusNames.Clean(t.Key, mayHoldColon: false), StringComparer.Ordinal)
        .Select(g => $"{(g.Key == "le" ? "exported_le" : g.Key)}=\"{Escaped(string.Join(';', g.Select(t => t.Value)))}\""));

    private static string Escaped(string value) => value.AsSpan().ContainsAny('\\', '"', '\n')
        ? value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal)
        : value;

    /// <summary>Since 1970.</summary>
    private static string Seconds(DateTimeOffset time) => ((time - DateTimeOffset.UnixEpoch).Ticks / (decimal)TimeSpan.TicksPerSecond).ToString("0.###", CultureInfo.InvariantCulture);

    /// <summary>OpenMetrics: a bound shows that it is no whole number.</summary>
    private static string Float(double value) => Number(value) is var text && text.AsSpan().ContainsAny('.', 'E', 'I') ? text : text + ".0";

    private static string Number(double value) => value switch
    {
        double.PositiveInfinity => "+Inf",
        double.NegativeInfinity => "-Inf",
        _ => value.ToString("R", CultureInfo.InvariantCulture),
    };

    private static string Help(string name) => name switch
    {
        MeshTags.ClientCallDuration => "One outbound call, its retries included, until its response ended.",
        MeshTags.ClientAttemptDuration => "One attempt of an outbound call, until its response ended.",
        MeshTags.ServerCallDuration => "One request served, until its response ended.",
        MeshTags.ClientConnectionDuration => "One connection out whose bytes are no HTTP, from the dial to its end.",
        MeshTags.ServerConnectionDuration => "One connection in whose bytes are no HTTP, until its end.",
        _ => string.Empty,
    };
}
