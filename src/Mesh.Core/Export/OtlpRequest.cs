using Google.Protobuf;
using Mesh.Protos.Otlp;
using Mesh.Telemetry;
using Exemplar = Mesh.Protos.Otlp.Exemplar;

namespace Mesh.Export;

/// <summary>Turns what was counted into OTLP: durations are delta exponential histograms in seconds, counters delta sums, gauges what they are.</summary>
internal static class OtlpRequest
{
    public static ExportMetricsServiceRequest From(Resource resource, IEnumerable<PendingPoint> points)
    {
        var scope = new ScopeMetrics { Scope = new InstrumentationScope { Name = CounterTotals.MeterName } };
        scope.Metrics.AddRange(points.GroupBy(p => (p.Name, p.Unit, p.GetType())).Select(Metric));
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

    private static Metric Metric(IGrouping<(string Name, string Unit, Type), PendingPoint> points)
    {
        var metric = new Metric { Name = points.Key.Name, Unit = points.Key.Unit };
        switch (points.First())
        {
            case PendingDurations:
                metric.ExponentialHistogram = new ExponentialHistogram { AggregationTemporality = AggregationTemporality.Delta };
                metric.ExponentialHistogram.DataPoints.AddRange(points.Cast<PendingDurations>().Select(Point));
                break;
            case PendingCount:
                metric.Sum = new Sum { AggregationTemporality = AggregationTemporality.Delta, IsMonotonic = true };
                metric.Sum.DataPoints.AddRange(points.Select(Number));
                break;
            default:
                metric.Gauge = new Gauge();
                metric.Gauge.DataPoints.AddRange(points.Select(Number));
                break;
        }

        return metric;
    }

    private static NumberDataPoint Number(PendingPoint pending)
    {
        var point = new NumberDataPoint { TimeUnixNano = Nanoseconds(pending.End) };
        if (pending is PendingCount count)
        {
            (point.StartTimeUnixNano, point.AsInt) = (Nanoseconds(pending.Start), count.Count);
        }
        else
        {
            point.AsDouble = ((PendingGauge)pending).Value;
        }

        point.Attributes.AddRange(pending.Tags.Select(t => Attribute(t.Key, t.Value)));
        return point;
    }

    private static ExponentialHistogramDataPoint Point(PendingDurations pending)
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
        point.Attributes.AddRange(pending.Tags.Select(t => Attribute(t.Key, t.Value)));
        if (pending.Exemplar is { } exemplar)
        {
            point.Exemplars.Add(new Exemplar
            {
                TimeUnixNano = Nanoseconds(exemplar.At),
                AsDouble = exemplar.Duration.TotalSeconds,
                TraceId = ByteString.CopyFrom(exemplar.TraceBytes()),
                SpanId = ByteString.CopyFrom(exemplar.SpanBytes()),
            });
        }

        return point;
    }

    private static KeyValue Attribute(string key, string value) => new() { Key = key, Value = new AnyValue { StringValue = value } };

    private static ulong Nanoseconds(DateTimeOffset t) => (ulong)(t - DateTimeOffset.UnixEpoch).Ticks * 100;
}
