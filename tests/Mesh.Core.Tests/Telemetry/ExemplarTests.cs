using System.Diagnostics;
using Mesh.Export;
using Xunit;

namespace Mesh.Telemetry;

public sealed class ExemplarTests
{
    private readonly MetricAggregate _aggregate = new();

    [Fact]
    public void Record_SampledSpan_IsTheExemplarOfItsBucket()
    {
        var series = _aggregate.Get("m");
        series.Record(TimeSpan.FromSeconds(0.3), Span(ActivityTraceFlags.None));
        Assert.Null(series.Durations.Exemplar.Collect());
        using var sampled = Span(ActivityTraceFlags.Recorded);
        series.Record(TimeSpan.FromSeconds(1.5), sampled);

        var text = string.Concat(PrometheusText.Histograms(_aggregate, TextFormat.OpenMetrics));
        var line = Assert.Single(text.Split('\n'), l => l.Contains('#', StringComparison.Ordinal) && !l.StartsWith('#'));
        Assert.StartsWith($"m_seconds_bucket{{le=\"2.0\"}} 2 # {{trace_id=\"{sampled.TraceId}\",span_id=\"{sampled.SpanId}\"}} 1.5 ", line, StringComparison.Ordinal);
        Assert.DoesNotContain("trace_id", string.Concat(PrometheusText.Histograms(_aggregate)), StringComparison.Ordinal);
        var exemplar = series.Durations.Exemplar.Collect()!;
        Assert.Equal((sampled.TraceId.ToHexString(), sampled.SpanId.ToHexString(), 1.5), (exemplar.TraceId, exemplar.SpanId, exemplar.Duration.TotalSeconds));
        Assert.Equal(sampled.TraceId.ToHexString(), Convert.ToHexStringLower(exemplar.TraceBytes()));
        Assert.Equal(sampled.SpanId.ToHexString(), Convert.ToHexStringLower(exemplar.SpanBytes()));
        Assert.Equal(sampled.StartTimeUtc.AddSeconds(1.5), exemplar.At.UtcDateTime);
        Assert.Null(series.Durations.Exemplar.Collect());
    }

    [Fact]
    public void Offer_AllocatesNothing()
    {
        var slot = new ExemplarSlot();
        using var span = Span(ActivityTraceFlags.Recorded);
        slot.Offer(span, TimeSpan.FromSeconds(1));

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++)
        {
            slot.Offer(span, TimeSpan.FromSeconds(1));
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public async Task Latest_WhileOffered_IsNeverHalfOfTwo()
    {
        var slot = new ExemplarSlot();
        Activity[] spans = [Span(ActivityTraceFlags.Recorded), Span(ActivityTraceFlags.Recorded)];
        using var done = new CancellationTokenSource();
        var writers = spans.Select((span, i) => Task.Run(() =>
        {
            while (!done.IsCancellationRequested)
            {
                slot.Offer(span, TimeSpan.FromSeconds(i + 1));
            }
        })).ToArray();
        for (var seen = 0; seen < 20_000;)
        {
            if (slot.Latest is { } exemplar)
            {
                seen++;
                var span = spans[(int)exemplar.Duration.TotalSeconds - 1];
                Assert.Equal((span.TraceId.ToHexString(), span.SpanId.ToHexString()), (exemplar.TraceId, exemplar.SpanId));
            }
        }

        await done.CancelAsync();
        await Task.WhenAll(writers);
        Array.ForEach(spans, s => s.Dispose());
    }

    private static Activity Span(ActivityTraceFlags flags)
    {
        var span = new Activity("test") { ActivityTraceFlags = flags };
        span.SetIdFormat(ActivityIdFormat.W3C).SetParentId(ActivityTraceId.CreateRandom(), ActivitySpanId.CreateRandom(), flags).Start();
        Activity.Current = null;
        return span;
    }
}
