using Mesh.Protos.Otlp;
using Mesh.Spiffe;
using Mesh.Tap;
using Mesh.Telemetry;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>Turns OTLP points of one peer into golden metrics; a point that the peer may not report, or that is malformed, is refused alone.</summary>
/// <remarks>Contracts §7: a pair comes from outbound where the caller reports, else from inbound: callers outside the mesh, and foreign peers that have only an identity. Never both.</remarks>
internal sealed class MetricsReader(GoldenStore store, BalancerTable balancers, TimeProvider time)
{
    /// <summary>More than any interval carries.</summary>
    private const long MostBytes = 1L << 50;

    /// <summary>More than one process holds.</summary>
    private const double MostOpen = 1 << 24;

    /// <returns>How many points were refused, and the first reason.</returns>
    public (long Rejected, string? Reason) Read(IEnumerable<ResourceMetrics> all, SpiffeId peer)
    {
        long rejected = 0;
        string? reason = null;
        foreach (var resource in all)
        {
            var from = Reporter.Of(resource.Resource, peer);
            foreach (var metric in resource.ScopeMetrics.SelectMany(s => s.Metrics))
            {
                foreach (var problem in Read(metric, from))
                {
                    if (problem is not null)
                    {
                        rejected++;
                        reason ??= from.Problem ?? problem;
                    }
                }
            }
        }

        return (rejected, reason);
    }

    private static SeriesKind? HistogramOf(string metric) => metric switch
    {
        MeshTags.ClientCallDuration => SeriesKind.Call,
        MeshTags.ClientAttemptDuration => SeriesKind.Attempt,
        MeshTags.ServerCallDuration => SeriesKind.Served,
        MeshTags.ClientConnectionDuration => SeriesKind.ClientConnection,
        MeshTags.ServerConnectionDuration => SeriesKind.ServerConnection,
        _ => null,
    };

    private static SeriesKind? CounterOf(string metric) => metric switch
    {
        MeshTags.ClientDecisions => SeriesKind.ClientDecision,
        MeshTags.ServerDecisions => SeriesKind.ServerDecision,
        _ => null,
    };

    /// <summary>Of connections whose bytes are no HTTP: who speaks with whom is in their tags.</summary>
    private static (SeriesKind Forth, SeriesKind Back)? CarriedOf(string metric) => metric switch
    {
        MeshTags.ClientConnectionIo => (SeriesKind.ClientReceived, SeriesKind.ClientSent),
        MeshTags.ServerConnectionIo => (SeriesKind.ServerReceived, SeriesKind.ServerSent),
        MeshTags.ClientConnectionOpened => (SeriesKind.ClientOpened, SeriesKind.ClientOpened),
        MeshTags.ServerConnectionOpened => (SeriesKind.ServerOpened, SeriesKind.ServerOpened),
        _ => null,
    };

    private static SeriesKind? OpenOf(string metric) => metric switch
    {
        MeshTags.ClientConnectionOpen => SeriesKind.ClientConnection,
        MeshTags.ServerConnectionOpen => SeriesKind.ServerConnection,
        _ => null,
    };

    private static BalancerGauge? GaugeOf(string metric) => metric switch
    {
        MeshTags.EndpointState => BalancerGauge.State,
        MeshTags.EndpointActive => BalancerGauge.Active,
        MeshTags.EndpointEwma => BalancerGauge.Ewma,
        MeshTags.EndpointWeight => BalancerGauge.Weight,
        MeshTags.EndpointEjectedUntil => BalancerGauge.EjectedUntil,
        _ => null,
    };

    /// <summary>What is wrong with each point; null for those that are taken. What is no golden metric is nobody's business.</summary>
    private IEnumerable<string?> Read(Metric metric, Reporter from)
    {
        if (HistogramOf(metric.Name) is { } histogram && metric.ExponentialHistogram is { } durations)
        {
            var problem = from.Problem ?? DeltaProblem(metric.Name, durations.AggregationTemporality);
            return durations.DataPoints.Select(p => problem ?? Read(histogram, metric.Name, p, from));
        }

        if (CounterOf(metric.Name) is { } counter && metric.Sum is { } sum)
        {
            var problem = from.Problem ?? DeltaProblem(metric.Name, sum.AggregationTemporality);
            return sum.DataPoints.Select(p => problem ?? Read(counter, p, from));
        }

        if (CarriedOf(metric.Name) is { } carried && metric.Sum is { } counted)
        {
            var problem = from.Problem ?? DeltaProblem(metric.Name, counted.AggregationTemporality);
            return counted.DataPoints.Select(p => problem ?? ReadCarried(carried, metric.Name, p, from));
        }

        if (metric.Gauge is { DataPoints: [var any, ..] values })
        {
            if (from.Problem is null)
            {
                store.Open.Heard(InstanceOf(from), any.TimeUnixNano, time.GetUtcNow());
            }

            return OpenOf(metric.Name) is { } open ? values.Select(p => from.Problem ?? ReadOpen(open, metric.Name, p, from))
                : GaugeOf(metric.Name) is { } gauge ? values.Select(p => from.Problem ?? Read(gauge, p, from)) : [];
        }

        return [];
    }

    private string? Read(SeriesKind kind, string metric, ExponentialHistogramDataPoint point, Reporter from)
    {
        var durations = new BucketCounts();
        if (PointTags.Read(point.Attributes, out var tags) is { } problem)
        {
            return problem;
        }

        if (tags.IsOverflow)
        {
            return null;
        }

        var key = tags.Key(kind == SeriesKind.Attempt && tags[MeshTags.Reached] != "true" ? SeriesKind.LostAttempt : kind);
        if (key.Source.Length == 0 || key.Destination.Length == 0)
        {
            return $"a point of '{metric}' lacks '{MeshTags.Source}' or '{MeshTags.Destination}'";
        }

        if (SpeaksForOther(key, metric, from) is { } foreign)
        {
            return foreign;
        }

        if (HistogramPoint.Read(point, durations) is { } malformed)
        {
            return malformed;
        }

        Knows(key, from);
        store.Add(key, Measure.Of(durations, tags.Outcome, tags.IsTls), Took(point.StartTimeUnixNano, point.TimeUnixNano), from.Peer);
        return null;
    }

    private string? Read(SeriesKind kind, NumberDataPoint point, Reporter from)
    {
        if (PointTags.Read(point.Attributes, out var tags) is { } problem)
        {
            return problem;
        }

        var count = point.ValueCase == NumberDataPoint.ValueOneofCase.AsInt ? point.AsInt : (long)point.AsDouble;
        if (count is < 0 or > int.MaxValue)
        {
            return $"a counter went up by {count}; that is not one interval's";
        }

        if (!tags.IsOverflow)
        {
            var key = new SeriesKey(kind, from.Workload, from.Peer.Namespace!, tags[MeshTags.Destination], tags[MeshTags.DestinationNamespace])
            {
                Route = tags[MeshTags.Decision],
                Backend = tags[MeshTags.Reason],
            };
            store.Add(key, new Measure(CallOutcome.Good, Tls: false, count), Took(point.StartTimeUnixNano, point.TimeUnixNano), from.Peer);
        }

        return null;
    }

    private string? ReadCarried((SeriesKind Forth, SeriesKind Back) kinds, string metric, NumberDataPoint point, Reporter from)
    {
        if (PointTags.Read(point.Attributes, out var tags) is { } problem)
        {
            return problem;
        }

        if (point.AsInt is < 0 or > MostBytes)
        {
            return $"'{metric}' went up by {point.AsInt}; that is not one interval's";
        }

        // From who called to who was called: the client side gives that on, the server side takes it.
        var key = tags.Key(kinds.Forth);
        key = tags[MeshTags.IoDirection] == (key.IsServer ? "transmit" : "receive") ? tags.Key(kinds.Back) : key;
        if (tags.IsOverflow || SpeaksForOther(key, metric, from) is not null)
        {
            return tags.IsOverflow ? null : SpeaksForOther(key, metric, from);
        }

        Knows(key, from);
        store.Add(key, new Measure(CallOutcome.Good, tags.IsTls, point.AsInt), Took(point.StartTimeUnixNano, point.TimeUnixNano), from.Peer);
        return null;
    }

    private string? ReadOpen(SeriesKind kind, string metric, NumberDataPoint point, Reporter from)
    {
        if (PointTags.Read(point.Attributes, out var tags) is { } problem)
        {
            return problem;
        }

        var value = point.ValueCase == NumberDataPoint.ValueOneofCase.AsInt ? point.AsInt : point.AsDouble;
        var key = tags.Key(kind);
        if (value is not (>= 0 and <= MostOpen) || SpeaksForOther(key, metric, from) is not null)
        {
            return SpeaksForOther(key, metric, from) ?? $"'{metric}' is {value}";
        }

        Knows(key, from);
        store.Open.Set(InstanceOf(from), point.TimeUnixNano, key, (long)value, time.GetUtcNow());
        return null;
    }

    private static ReportingInstance InstanceOf(Reporter from) => new(from.Peer.ToString(), from.Instance);

    /// <summary>A workload reports its own side only.</summary>
    private static string? SpeaksForOther(in SeriesKey key, string metric, Reporter from)
    {
        var own = key.IsServer ? key.DestinationNamespace : key.SourceNamespace;
        return own == from.Peer.Namespace ? null : $"a point of '{metric}' speaks for namespace '{TapText.Of(own, 64)}', the peer's is '{from.Peer.Namespace}'";
    }

    private void Knows(in SeriesKey key, Reporter from)
    {
        if (!key.IsServer)
        {
            store.AddReporter(new Caller(from.Peer.ServiceAccount!, from.Peer.Namespace!));
        }
    }

    private string? Read(BalancerGauge gauge, NumberDataPoint point, Reporter from)
    {
        if (PointTags.Read(point.Attributes, out var tags) is { } problem)
        {
            return problem;
        }

        var value = point.ValueCase == NumberDataPoint.ValueOneofCase.AsInt ? point.AsInt : point.AsDouble;
        if (!double.IsFinite(value))
        {
            return "a gauge is no number";
        }

        var key = new BalancerKey(from.Workload, from.Peer.Namespace!, from.Instance, tags[MeshTags.Destination], tags[MeshTags.DestinationNamespace], tags[MeshTags.Endpoint]);
        balancers.Set(from.Peer, key, gauge, value, tags[MeshTags.State], tags[MeshTags.Reason] is { Length: > 0 } why ? why : null, time.GetUtcNow());
        return null;
    }

    private static string? DeltaProblem(string metric, AggregationTemporality temporality) =>
        temporality == AggregationTemporality.Delta ? null : $"metric '{metric}' is not of delta temporality";

    private static TimeSpan Took(ulong start, ulong end)
    {
        var nanoseconds = start > 0 && end > start ? end - start : 0;
        return TimeSpan.FromTicks((long)(nanoseconds / TimeSpan.NanosecondsPerTick));
    }
}
