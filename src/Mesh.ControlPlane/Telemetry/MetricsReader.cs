using Mesh.Protos.Otlp;
using Mesh.Spiffe;
using Mesh.Telemetry;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>Turns OTLP points of one peer into golden metrics; a point that the peer may not report, or that is malformed, is refused alone.</summary>
/// <remarks>Contracts §7: a pair comes from outbound where the caller reports, else from inbound: callers outside the mesh, and foreign peers that have only an identity. Never both.</remarks>
internal sealed class MetricsReader(GoldenStore store)
{
    private const int MaxText = 253;
    private const int MaxBuckets = 1024;

    /// <returns>How many points were refused, and the first reason.</returns>
    public (long Rejected, string? Reason) Read(IEnumerable<ResourceMetrics> all, SpiffeId peer)
    {
        long rejected = 0;
        string? reason = null;
        foreach (var resource in all)
        {
            var ns = resource.Resource?.Attributes.FirstOrDefault(a => a.Key == "service.namespace")?.Value?.StringValue;
            foreach (var metric in resource.ScopeMetrics.SelectMany(s => s.Metrics))
            {
                if (metric.Name is not (MeshTags.ClientCallDuration or MeshTags.ClientAttemptDuration or MeshTags.ServerCallDuration))
                {
                    continue;
                }

                foreach (var point in metric.ExponentialHistogram?.DataPoints ?? [])
                {
                    var problem = ns != peer.Namespace
                        ? $"service.namespace is '{ns}', the peer is '{peer}'. A workload reports its own namespace only"
                        : metric.ExponentialHistogram!.AggregationTemporality != AggregationTemporality.Delta
                            ? $"metric '{metric.Name}' is not of delta temporality"
                            : Read(metric.Name, point, peer);
                    if (problem is not null)
                    {
                        rejected++;
                        reason ??= problem;
                    }
                }
            }
        }

        return (rejected, reason);
    }

    private string? Read(string metric, ExponentialHistogramDataPoint point, SpiffeId peer)
    {
        var tags = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var tag in point.Attributes)
        {
            var text = tag.Value?.StringValue ?? string.Empty;
            if (text.Length > MaxText)
            {
                return $"tag '{tag.Key}' has {text.Length} characters; at most {MaxText} are taken";
            }

            tags[tag.Key] = text;
        }

        if (tags.ContainsKey("otel.metric.overflow"))
        {
            return null;
        }

        string Tag(string key) => tags.GetValueOrDefault(key, string.Empty);
        var key = new PairKey(Tag(MeshTags.Source), Tag(MeshTags.SourceNamespace), Tag(MeshTags.Destination), Tag(MeshTags.DestinationNamespace));
        if (key.Source.Length == 0 || key.Destination.Length == 0)
        {
            return $"a point of '{metric}' lacks '{MeshTags.Source}' or '{MeshTags.Destination}'";
        }

        var inbound = metric == MeshTags.ServerCallDuration;
        var own = inbound ? key.DestinationNamespace : key.SourceNamespace;
        if (own != peer.Namespace)
        {
            return $"a point of '{metric}' speaks for namespace '{own}', the peer's is '{peer.Namespace}'";
        }

        if (inbound)
        {
            key = key with { Witnessed = key.Source != MeshTags.Unmeshed };
        }
        else
        {
            store.AddReporter(new Caller(peer.ServiceAccount!, peer.Namespace));
        }

        var durations = new BucketCounts();
        if (ReadBuckets(point, durations) is { } problem)
        {
            return problem;
        }

        var count = durations.Total;
        var (good, cancelled) = Tag(MeshTags.Outcome) switch
        {
            MeshTags.Success => (count, 0L),
            MeshTags.Cancelled => (0L, count),
            _ => (0L, 0L),
        };
        var tls = Tag(MeshTags.Tls) == "mesh" ? count : 0;
        var counts = new PairCounts();
        if (metric != MeshTags.ClientAttemptDuration)
        {
            counts.CallsGood = good;
            counts.CallsCancelled = cancelled;
            counts.CallsBad = count - good - cancelled;
            counts.Durations.Add(durations);
        }

        if (metric != MeshTags.ClientCallDuration)
        {
            // What the called side saw is seen once: its call is its attempt.
            counts.AttemptsGood = good;
            counts.AttemptsCancelled = cancelled;
            counts.AttemptsBad = count - good - cancelled;
            counts.AttemptsTls = tls;
        }

        store.Add(key, counts, Took(point));
        if (inbound && Tag(MeshTags.Endpoint).Length > 0)
        {
            Caller? witnessedFrom = key.Witnessed ? new Caller(key.Source, key.SourceNamespace) : null;
            store.Add(new EndpointKey(key.Destination, key.DestinationNamespace, Tag(MeshTags.Endpoint), witnessedFrom), count);
        }
        else if (metric == MeshTags.ClientAttemptDuration && Tag(MeshTags.Reached) == "true" && Tag(MeshTags.Endpoint).Length > 0)
        {
            var backend = Tag(MeshTags.Backend);
            store.Add(
                backend.Length > 0
                    ? new EndpointKey(backend, Tag(MeshTags.BackendNamespace), Tag(MeshTags.Endpoint))
                    : new EndpointKey(key.Destination, key.DestinationNamespace, Tag(MeshTags.Endpoint)),
                count);
        }

        return null;
    }

    private static TimeSpan Took(ExponentialHistogramDataPoint point)
    {
        var nanoseconds = point.StartTimeUnixNano > 0 && point.TimeUnixNano > point.StartTimeUnixNano ? point.TimeUnixNano - point.StartTimeUnixNano : 0;
        return TimeSpan.FromTicks((long)(nanoseconds / TimeSpan.NanosecondsPerTick));
    }

    private static string? ReadBuckets(ExponentialHistogramDataPoint point, BucketCounts into)
    {
        if (point.Scale is < DurationHistogram.Scale or > 20)
        {
            return $"histogram scale {point.Scale} is not {DurationHistogram.Scale} to 20";
        }

        if (point.Positive?.BucketCounts.Count > MaxBuckets)
        {
            return $"a histogram has {point.Positive.BucketCounts.Count} buckets; at most {MaxBuckets} are taken";
        }

        if (point.Count > int.MaxValue || point.ZeroCount > point.Count)
        {
            return $"a histogram counts {point.Count}; that is not one interval's";
        }

        // Finer histograms merge into ours: each step down in scale halves the index (OpenTelemetry data model).
        var shift = point.Scale - DurationHistogram.Scale;
        var left = point.Count;
        into.Add(BucketCounts.Lowest, (long)point.ZeroCount);
        left -= point.ZeroCount;
        for (var i = 0; i < (point.Positive?.BucketCounts.Count ?? 0); i++)
        {
            var count = point.Positive!.BucketCounts[i];
            if (count > left)
            {
                return $"a histogram's buckets hold more than its count {point.Count}";
            }

            left -= count;
            into.Add((int)Math.Clamp(((long)point.Positive.Offset + i) >> shift, int.MinValue, int.MaxValue), (long)count);
        }

        return left == 0 ? null : $"a histogram's buckets hold {left} less than its count {point.Count}";
    }
}
