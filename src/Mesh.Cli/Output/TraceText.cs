using System.Globalization;

namespace Mesh.Cli.Output;

/// <summary>Writes traces for people.</summary>
internal static class TraceText
{
    private const int MaxName = 60;

    public static Task WriteListAsync(IReadOnlyList<TraceLine> traces, bool wide, TextWriter output)
    {
        (string, bool)[] columns = [("AT", false), ("ROOT", false), ("WORKLOAD", false), ("DURATION", true), ("SPANS", true), ("STATUS", false), ("TRACE", false)];
        var table = new Table(wide ? [.. columns, ("SERVICES", false)] : columns);
        foreach (var trace in traces)
        {
            string[] cells =
            [
                Time(trace.At), Plain(trace.Root), trace.Namespace.Length == 0 ? trace.Workload : $"{trace.Namespace}/{trace.Workload}", Duration(trace.DurationMs),
                trace.Spans.ToString(CultureInfo.InvariantCulture), trace.Failed ? "failed" : "ok", trace.TraceId,
            ];
            table.Add(wide ? [.. cells, string.Join(" ", trace.Services.Select(Plain))] : cells);
        }

        return table.WriteToAsync(output);
    }

    /// <summary>A tree: who called whom, when it began after the first, how long it took, and what the mesh decided meanwhile.</summary>
    public static async Task WriteTreeAsync(Trace trace, bool wide, TextWriter output)
    {
        var known = trace.Spans.Select(s => s.SpanId).ToHashSet(StringComparer.Ordinal);
        var below = trace.Spans.OrderBy(s => s.Start).ToLookup(s => s.ParentId is { } parent && known.Contains(parent) && parent != s.SpanId ? parent : string.Empty, StringComparer.Ordinal);
        var start = trace.Spans.Min(s => s.Start);
        await output.WriteLineAsync($"trace {trace.TraceId}, {start.ToUniversalTime().ToString("u", CultureInfo.InvariantCulture)}, {trace.Spans.Count} spans");
        await output.WriteLineAsync();
        var table = new Table(("SPAN", false), ("WORKLOAD", false), ("START", true), ("DURATION", true), ("STATUS", false), ("WHERE", false));
        var written = new HashSet<string>(StringComparer.Ordinal);
        foreach (var root in below[string.Empty])
        {
            Add(root, string.Empty, string.Empty);
        }

        await table.WriteToAsync(output);

        // Spans that name each other as parents are below none: nobody is asked to draw a circle.
        void Add(TraceSpan span, string branch, string indent)
        {
            if (!written.Add($"{span.SpanId}/{span.Kind}"))
            {
                return;
            }

            table.Add(
                branch + Label(span), $"{span.Namespace}/{span.Workload}", Duration((span.Start - start).TotalMilliseconds), Duration(span.DurationMs), Status(span), Where(span, wide));
            var children = below[span.SpanId].ToList();
            foreach (var happened in span.Events)
            {
                table.Add(
                    $"{indent}{(children.Count > 0 ? "│ " : "  ")}• {Plain(happened.Name)}", string.Empty, Duration((happened.At - start).TotalMilliseconds), string.Empty, string.Empty,
                    happened.Attributes.TryGetValue("mesh.reason", out var reason) ? Plain(reason.ToString()) : string.Empty);
            }

            for (var i = 0; i < children.Count; i++)
            {
                var last = i == children.Count - 1;
                Add(children[i], indent + (last ? "└ " : "├ "), indent + (last ? "  " : "│ "));
            }
        }
    }

    private static string Label(TraceSpan span) => span.Kind == "internal" && span["mesh.attempt"] is { } attempt
        ? $"attempt {Plain(attempt)}{(span["mesh.reason"] is { } why and not "first" ? $" after {Plain(why)}" : string.Empty)}"
        : $"{Plain(span.Name)} ({span.Kind})";

    private static string Status(TraceSpan span) =>
        (span.Status == "error" ? "failed " : string.Empty) + (span["rpc.grpc.status_code"] is { } grpc ? $"grpc {Plain(grpc)}" : Plain(span["http.response.status_code"] ?? span["error.type"] ?? "-"));

    private static string Where(TraceSpan span, bool wide)
    {
        var parts = new List<string>();
        foreach (var name in wide
            ? (string[])["mesh.endpoint", "mesh.route", "mesh.tls", "mesh.peer", "mesh.policy.decision", "mesh.policy.rule", "mesh.policy.nearest", "mesh.decision", "mesh.deadline_ms", "url.path", "server.address"]
            : ["mesh.endpoint", "mesh.policy.decision", "mesh.decision"])
        {
            if (span[name] is { Length: > 0 } value)
            {
                parts.Add(wide || name != "mesh.endpoint" ? $"{name[(name.IndexOf('.', StringComparison.Ordinal) + 1)..]}={Plain(value)}" : Plain(value));
            }
        }

        if (span["mesh.late"] is not null)
        {
            parts.Add("(not sampled: kept because it failed or was slow)");
        }

        return string.Join(" ", parts);
    }

    private static string Duration(double ms) => ms >= 1000 ? $"{(ms / 1000).ToString("0.00", CultureInfo.InvariantCulture)}s" : $"{ms.ToString("0.0", CultureInfo.InvariantCulture)}ms";

    private static string Time(DateTimeOffset time) => time.ToUniversalTime().ToString("HH:mm:ss.fff", CultureInfo.InvariantCulture);

    /// <summary>What callers wrote must not steer a terminal.</summary>
    private static string Plain(string text)
    {
        var clean = string.Concat(text.Select(c => char.IsControl(c) ? '?' : c));
        return clean.Length <= MaxName ? clean : clean[..(MaxName - 1)] + "…";
    }
}
