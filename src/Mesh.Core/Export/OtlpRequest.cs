using Mesh.Protos.Otlp;
using Mesh.Telemetry;

namespace Mesh.Export;

/// <summary>Turns what was counted into OTLP: delta exponential histograms in seconds.</summary>
internal static class OtlpRequest
{
    public static ExportMetricsServiceRequest From(Resource resource, IEnumerable<PendingSeries> pending)
    {
        var scope = new ScopeMetrics { Scope = new InstrumentationScope { Name = "Mesh" } };
        foreach (var byName in pending.GroupBy(p => p.Series.Name, StringComparer.Ordinal))
        {
            var histogram = new ExponentialHistogram { AggregationTemporality = AggregationTemporality.Delta };
            histogram.DataPoints.AddRange(byName.Select(Point));
            scope.Metrics.Add(new Metric { Name = byName.Key, Unit = "s", ExponentialHistogram = histogram });
        }

        var metrics = new ResourceMetrics { Resource = resource };
        metrics.ScopeMetrics.Add(scope);
        var request = new ExportMetricsServiceRequest();
        request.ResourceMetrics.Add(metrics);
        return request;
    }

    public static Resource Resource(string workload, string @namespace, string instance)
    {
        var resource = new Resource();
        resource.Attributes.Add(Attribute("service.name", workload));
        resource.Attributes.Add(Attribute("service.namespace", @namespace));
        resource.Attributes.Add(Attribute("service.instance.id", instance));
        return resource;
    }

    private static ExponentialHistogramDataPoint Point(PendingSeries pending)
    {
        var counts = pending.Counts;
        var first = Array.FindIndex(counts, c => c != 0);
        var last = Array.FindLastIndex(counts, c => c != 0);
        var buckets = new ExponentialHistogramDataPoint.Types.Buckets { Offset = DurationHistogram.FirstIndex + first };
        ulong count = 0;
        for (var i = first; i <= last; i++)
        {
            buckets.BucketCounts.Add((ulong)counts[i]);
            count += (ulong)counts[i];
        }

        var point = new ExponentialHistogramDataPoint
        {
            Scale = DurationHistogram.Scale,
            Count = count,
            Sum = pending.Sum.TotalSeconds,
            Positive = buckets,
            StartTimeUnixNano = Nanoseconds(pending.Start),
            TimeUnixNano = Nanoseconds(pending.End),
        };
        foreach (var (key, value) in pending.Series.Tags)
        {
            point.Attributes.Add(Attribute(key, value));
        }

        return point;
    }

    private static KeyValue Attribute(string key, string value) => new() { Key = key, Value = new AnyValue { StringValue = value } };

    private static ulong Nanoseconds(DateTimeOffset t) => (ulong)(t - DateTimeOffset.UnixEpoch).Ticks * 100;
}
