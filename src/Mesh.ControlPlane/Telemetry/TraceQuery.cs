namespace Mesh.ControlPlane.Telemetry;

/// <summary>Which traces somebody wants.</summary>
/// <param name="Service">A workload or called host that takes part; null is any.</param>
/// <param name="Namespace">Of a workload that takes part; null is any.</param>
internal sealed record TraceQuery(string? Service, string? Namespace, TimeSpan MinDuration, bool FailedOnly, int Limit)
{
    public const int DefaultLimit = 50;
    public const int MaxLimit = 1000;

    /// <summary>It began then or later.</summary>
    public DateTimeOffset From { get; init; } = DateTimeOffset.MinValue;

    /// <summary>It began before.</summary>
    public DateTimeOffset To { get; init; } = DateTimeOffset.MaxValue;

    /// <summary>Those of what all replicas know together that match, newest first.</summary>
    public IReadOnlyList<KnownTrace> Choose(IEnumerable<KnownTrace> known)
    {
        var traces = new Dictionary<string, KnownTrace>(StringComparer.Ordinal);
        foreach (var one in known)
        {
            traces[one.Id] = traces.TryGetValue(one.Id, out var other) ? one.With(other) : one;
        }

        return [.. traces.Values.Where(Matches).OrderByDescending(t => t.Start).ThenBy(t => t.Id, StringComparer.Ordinal).Take(Limit)];
    }

    public bool IsOfService(Trace trace) =>
        Service is null || trace.Spans.Any(s => s.Workload == Service || (s.Attributes.TryGetValue("server.address", out var host) && host is string called && IsHostOf(called, Service)));

    public bool IsOfNamespace(Trace trace) => Namespace is null || trace.Spans.Any(s => s.Namespace == Namespace);

    private bool Matches(KnownTrace trace) => (!FailedOnly || trace.Failed) && trace.Duration >= MinDuration && trace.Start >= From && trace.Start < To && trace.OfService && trace.OfNamespace;

    private static bool IsHostOf(string host, string service) => host == service || (host.Length > service.Length && host[service.Length] == '.' && host.StartsWith(service, StringComparison.Ordinal));
}

/// <summary>What one replica knows of a trace, as far as a question is about it.</summary>
/// <param name="Start">Of the span that all others that are known there are below, as is <paramref name="Duration"/>.</param>
/// <param name="HasParent">That span is below one that is not known there.</param>
/// <param name="OfService">The service that was asked for takes part; so with <paramref name="OfNamespace"/>.</param>
internal readonly record struct KnownTrace(string Id, DateTimeOffset Start, TimeSpan Duration, bool HasParent, bool Failed, bool OfService, bool OfNamespace)
{
    public static KnownTrace Of(Trace trace, TraceQuery query) =>
        new(trace.Id, trace.Root.Start, trace.Duration, trace.Root.ParentId is not null, trace.Failed, query.IsOfService(trace), query.IsOfNamespace(trace));

    /// <summary>With what another replica knows of the same.</summary>
    public KnownTrace With(in KnownTrace other)
    {
        var top = Trace.IsAbove(HasParent, Start, other.HasParent, other.Start) ? this : other;
        return top with { Failed = Failed || other.Failed, OfService = OfService || other.OfService, OfNamespace = OfNamespace || other.OfNamespace };
    }
}

/// <summary>One line of a list of traces.</summary>
/// <param name="Root">Name of the span that all others are below.</param>
/// <param name="Services">Workloads that took part, in the order in which they did.</param>
internal sealed record TraceSummary(string TraceId, DateTimeOffset At, string Root, string Workload, string Namespace, double DurationMs, int Spans, bool Failed, IReadOnlyList<string> Services)
{
    public static TraceSummary Of(Trace trace) => new(
        trace.Id,
        trace.Root.Start,
        trace.Root.Name,
        trace.Root.Workload,
        trace.Root.Namespace,
        Math.Round(trace.Duration.TotalMilliseconds, 3),
        trace.Spans.Count,
        trace.Failed,
        [.. trace.Spans.OrderBy(s => s.Start).Select(s => s.Workload).Distinct(StringComparer.Ordinal)]);
}
