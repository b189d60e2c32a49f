using System.Globalization;
using System.Text;
using Mesh.Telemetry;

namespace Mesh.Export;

/// <summary>Measurements in Prometheus' text format 0.0.4, part by part, so that no scrape holds all of it in memory.</summary>
/// <remarks>Names are those of OpenTelemetry's translation: dots become underscores, units become suffixes, counters end in <c>_total</c>.</remarks>
internal static class PrometheusText
{
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    /// <summary>All histograms with their counts since the start. What an exporter takes is not missing here, and nothing is missing there.</summary>
    public static IEnumerable<string> Histograms(MetricAggregate aggregate)
    {
        foreach (var family in aggregate.Series.GroupBy(s => s.Name, StringComparer.Ordinal).OrderBy(g => g.Key, StringComparer.Ordinal))
        {
            var name = Name(family.Key, "s", isCounter: false);
            yield return Header(name, "histogram", Help(family.Key));
            foreach (var series in family)
            {
                yield return Histogram(name, series);
            }
        }
    }

    /// <summary>All counters since the start.</summary>
    public static IEnumerable<string> Counters(CounterTotals counters)
    {
        foreach (var family in counters.All.GroupBy(c => c.Name, StringComparer.Ordinal).OrderBy(g => g.Key, StringComparer.Ordinal))
        {
            var first = family.First();
            var name = Name(family.Key, first.Unit, isCounter: true);
            var text = new StringBuilder(Header(name, "counter", first.Description));
            foreach (var counter in family)
            {
                text.Append(name).Append(Braced(Labels(counter.Tags))).Append(' ').Append(CultureInfo.InvariantCulture, $"{counter.Total}\n");
            }

            yield return text.ToString();
        }
    }

    /// <summary>One gauge, or the samples of one.</summary>
    /// <param name="name">In OpenTelemetry's form.</param>
    public static string Gauge(string name, string unit, string help, params (KeyValuePair<string, string>[] Tags, double Value)[] samples)
    {
        var translated = Name(name, unit, isCounter: false);
        var text = new StringBuilder(Header(translated, "gauge", help));
        foreach (var (tags, value) in samples)
        {
            text.Append(translated).Append(Braced(Labels(tags))).Append(' ').Append(Number(value)).Append('\n');
        }

        return text.ToString();
    }

    /// <summary>The metric's name as Prometheus has it.</summary>
    /// <param name="unit">UCUM: <c>s</c>, <c>By</c>; <c>1</c> and annotations such as <c>{request}</c> give no suffix.</param>
    public static string Name(string name, string unit, bool isCounter)
    {
        var translated = Clean(name, mayHoldColon: true);
        var suffix = unit switch
        {
            "s" => "seconds",
            "ms" => "milliseconds",
            "By" => "bytes",
            "" or "1" => string.Empty,
            _ => unit[0] == '{' ? string.Empty : Clean(unit, mayHoldColon: false),
        };
        if (isCounter && translated.EndsWith("_total", StringComparison.Ordinal))
        {
            translated = translated[..^"_total".Length];
        }

        if (suffix.Length > 0 && !translated.EndsWith('_' + suffix, StringComparison.Ordinal))
        {
            translated += '_' + suffix;
        }

        return isCounter ? translated + "_total" : translated;
    }

    private static string Histogram(string name, MetricSeries series)
    {
        var totals = series.Durations.Totals();
        var labels = Labels(series.Tags);
        var text = new StringBuilder(2048);
        long count = 0;
        for (var i = 0; i < totals.Counts.Count; i++)
        {
            count += totals.Counts[i];
            text.Append(name).Append("_bucket{").Append(labels).Append(labels.Length > 0 ? "," : string.Empty).Append("le=\"")
                .Append(i < DurationHistogram.TotalBounds.Count ? Number(DurationHistogram.TotalBounds[i]) : "+Inf").Append("\"} ")
                .Append(CultureInfo.InvariantCulture, $"{count}\n");
        }

        var braced = Braced(labels);
        text.Append(name).Append("_sum").Append(braced).Append(' ').Append(Number(totals.Sum.TotalSeconds)).Append('\n');
        // The last bucket, so that both agree whatever is recorded meanwhile.
        return text.Append(name).Append("_count").Append(braced).Append(' ').Append(CultureInfo.InvariantCulture, $"{count}\n").ToString();
    }

    private static string Header(string name, string type, string help)
    {
        var escaped = help.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
        return help.Length == 0 ? $"# TYPE {name} {type}\n" : $"# HELP {name} {escaped}\n# TYPE {name} {type}\n";
    }

    private static string Braced(string labels) => labels.Length == 0 ? string.Empty : $"{{{labels}}}";

    /// <summary>Tags whose names become the same are one label, their values joined by <c>;</c> (OpenTelemetry).</summary>
    private static string Labels(IEnumerable<KeyValuePair<string, string>> tags) => string.Join(',', tags
        .GroupBy(t => Clean(t.Key, mayHoldColon: false), StringComparer.Ordinal)
        .Select(g => $"{(g.Key == "le" ? "exported_le" : g.Key)}=\"{Escaped(string.Join(';', g.Select(t => t.Value)))}\""));

    private static string Escaped(string value) => value.AsSpan().ContainsAny('\\', '"', '\n')
        ? value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal)
        : value;

    private static string Clean(string name, bool mayHoldColon)
    {
        var clean = new StringBuilder(name.Length + 1);
        foreach (var c in name)
        {
            var next = char.IsAsciiLetterOrDigit(c) || (c == ':' && mayHoldColon) ? c : '_';
            if (clean.Length == 0 && char.IsAsciiDigit(next))
            {
                clean.Append('_');
            }

            if (next != '_' || clean.Length == 0 || clean[^1] != '_')
            {
                clean.Append(next);
            }
        }

        return clean.Length == 0 ? "_" : clean.ToString();
    }

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
        _ => string.Empty,
    };
}
