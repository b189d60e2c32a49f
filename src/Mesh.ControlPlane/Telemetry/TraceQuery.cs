using Mesh.Telemetry;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>Which traces somebody wants.</summary>
/// <param name="Service">A workload or called host that takes part; null is any.</param>
/// <param name="Namespace">Of a workload that takes part; null is any.</param>
internal sealed record TraceQuery(string? Service, string? Namespace, TimeSpan MinDuration, bool FailedOnly, int Limit)
{
    public const int DefaultLimit = 50;
    public const int MaxLimit = 1000;

    /// <summary>A workload that makes a call in it; null is any.</summary>
    public string? Source { get; init; }

    /// <summary>A workload or called host of such a call; null is any.</summary>
    public string? Destination { get; init; }

    /// <summary>Of which one takes part; null is any.</summary>
    public IReadOnlySet<(string Namespace, string Name)>? Workloads { get; init; }

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

    public bool IsOfService(Trace trace) => Service is null || trace.Spans.Any(s => s.Workload == Service || Calls(s, Service));

    public bool IsOfNamespace(Trace trace) => Namespace is null || trace.Spans.Any(s => s.Namespace == Namespace);

    public bool IsOfCall(Trace trace) => (Source ?? Destination) is null || trace.Spans.Any(s => (Source is null || Source == CallerOf(s)) && (Destination is null || IsCalled(s, Destination)));

    public bool IsOfWorkloads(Trace trace) => Workloads is null || trace.Spans.Any(s => Workloads.Contains((s.Namespace, s.Workload)));

    /// <summary>Replicas that are older than a question say nothing of it.</summary>
    private bool Matches(KnownTrace trace) =>
        (!FailedOnly || trace.Failed) && trace.Duration >= MinDuration && trace.Start >= From && trace.Start < To && trace.OfService && trace.OfNamespace
        && ((Source ?? Destination) is null || trace.OfCall) && (Workloads is null || trace.OfWorkloads);

    /// <summary>As its own span says it, or the called one's with the identity that it verified.</summary>
    private static string? CallerOf(StoredSpan span) => span.Kind switch
    {
        "client" => span.Workload,
        "server" when span.Attributes.TryGetValue(MeshTags.Peer, out var peer) && peer is string id => id[(id.LastIndexOf('/') + 1)..],
        _ => null,
    };

    private static bool IsCalled(StoredSpan span, string name) => span.Kind == "server" ? span.Workload == name : span.Kind == "client" && Calls(span, name);

    private static bool Calls(StoredSpan span, string name) => span.Attributes.TryGetValue("server.address", out var host) && host is string called && IsHostOf(called, name);

    private static bool IsHostOf(string host, string service) => host == service || (host.Length > service.Length && host[service.Length] == '.' && host.StartsWith(service, StringComparison.Ordinal));
}

/// <summary>What one replica knows of a trace, as far as a question is about it.</summary>
/// <param name="Start">Of the span that all others that are known there are below, as is <paramref name="Duration"/>.</param>
/// <param name="HasParent">That span is below one that is not known there.</param>
/// <param name="OfService">The service that was asked for takes part; so with <paramref name="OfNamespace"/>, <paramref name="OfCall"/> and <paramref name="OfWorkloads"/>.</param>
internal readonly record struct KnownTrace(string Id, DateTimeOffset Start, TimeSpan Duration, bool HasParent, bool Failed, bool OfService, bool OfNamespace, bool OfCall, bool OfWorkloads)
{
    public static KnownTrace Of(Trace trace, TraceQuery query) =>
        new(trace.Id, trace.Root.Start, trace.Duration, trace.Root.ParentId is not null, trace.Failed, query.IsOfService(trace), query.IsOfNamespace(trace), query.IsOfCall(trace), query.IsOfWorkloads(trace));

    /// <summary>With what another replica knows of the same.</summary>
    public KnownTrace With(in KnownTrace other)
    {
        var top = Trace.IsAbove(HasParent, Start, other.HasParent, other.Start) ? this : other;
        return top with
        {
            Failed = Failed || other.Failed,
            OfService = OfService || other.OfService,
            OfNamespace = OfNamespace || other.OfNamespace,
            OfCall = OfCall || other.OfCall,
            OfWorkloads = OfWorkloads || other.OfWorkloads,
        };
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
