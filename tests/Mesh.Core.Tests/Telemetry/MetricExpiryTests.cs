using System.Diagnostics.Metrics;
using Mesh.Export;
using Mesh.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Telemetry;

/// <summary>Series that nobody records in go, and nothing that is counted goes with them.</summary>
public sealed class MetricExpiryTests
{
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));

    [Fact]
    public void Series_IdleForTenMinutes_IsGoneFromMemoryAndText()
    {
        var aggregate = new MetricAggregate(_time);
        aggregate.Get("m", new KeyValuePair<string, string>("k", "idle")).Record(TimeSpan.FromSeconds(1));
        var busy = aggregate.Get("m", new KeyValuePair<string, string>("k", "busy"));
        Look(aggregate);
        for (var minute = 0; minute < 10; minute++)
        {
            Assert.Equal(2, aggregate.Count);
            busy.Record(TimeSpan.FromSeconds(1));
            _time.Advance(TimeSpan.FromMinutes(1));
            Look(aggregate);
        }

        Assert.Same(busy, Assert.Single(aggregate.Series));
        Assert.Equal(1, aggregate.Count);
        var text = string.Concat(PrometheusText.Histograms(aggregate));
        Assert.Contains("m_seconds_count{k=\"busy\"} 10\n", text, StringComparison.Ordinal);
        Assert.DoesNotContain("idle", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Series_RecordedAfterItWent_BeginsAnewUnderTheSameTags()
    {
        var aggregate = new MetricAggregate(_time);
        var held = aggregate.Get("m", new KeyValuePair<string, string>("k", "v"));
        held.Record(TimeSpan.FromSeconds(1));
        Look(aggregate);
        _time.Advance(MetricAggregate.IdleTimeout);
        Look(aggregate);
        Assert.Empty(aggregate.Series);

        held.Record(TimeSpan.FromSeconds(2));
        held.Record(TimeSpan.FromSeconds(2));

        var again = Assert.Single(aggregate.Series);
        Assert.NotSame(held, again);
        Assert.Equal(held.Tags, again.Tags);
        Assert.Equal(_time.GetUtcNow(), again.Start);
        Assert.Equal(2, again.Durations.Totals().Counts.Sum());
        Assert.Same(again, aggregate.Get("m", new KeyValuePair<string, string>("k", "v")));
    }

    [Fact]
    public async Task Series_ExpiringWhileRecorded_LosesNothingAndCountsNothingTwice()
    {
        const int Each = 30_000;
        var aggregate = new MetricAggregate(_time, idleTimeout: TimeSpan.Zero);
        var held = aggregate.Get("m");
        using var done = new CancellationTokenSource();
        var (collected, expired, recorded) = (0L, 0, 0L);
        var collector = Task.Run(
            () =>
            {
                while (!done.IsCancellationRequested)
                {
                    foreach (var series in aggregate.Series)
                    {
                        var delta = series.Durations.Collect();
                        collected += delta?.Counts.Sum() ?? 0;
                        aggregate.Looked(series, delta is not null, _time.GetUtcNow());
                        Volatile.Write(ref expired, expired + (series.IsExpired ? 1 : 0));
                    }
                }
            },
            TestContext.Current.CancellationToken);
        await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => Task.Run(() =>
        {
            var i = 0;
            // On, with longer gaps, where the collector got no turn in the short ones.
            for (; i < Each || (Volatile.Read(ref expired) == 0 && i < 20 * Each); i++)
            {
                held.Record(TimeSpan.FromMilliseconds(1));
                if (i % 100 == 0)
                {
                    // Gaps, in which it can expire.
                    Thread.Sleep(i < Each ? 0 : 1);
                }
            }

            Interlocked.Add(ref recorded, i);
        })));
        await done.CancelAsync();
        await collector;

        Assert.True(expired > 0, "it never expired, so nothing was tested");
        Assert.Equal(recorded, collected + aggregate.Series.Sum(s => s.Durations.Collect()?.Counts.Sum() ?? 0));
    }

    [Fact]
    public void Cap_Reached_IsSeenAndFreedByExpiry()
    {
        var aggregate = new MetricAggregate(_time);
        for (var i = 0; i < MetricAggregate.MaxSeries + 5; i++)
        {
            aggregate.Get("m", new KeyValuePair<string, string>("k", $"{i}"));
        }

        Assert.Equal(MetricAggregate.MaxSeries + 1, aggregate.Count);
        Assert.Equal([KeyValuePair.Create("m", 5L)], aggregate.Overflowed);
        _time.Advance(MetricAggregate.IdleTimeout);
        Look(aggregate);
        Assert.Equal(0, aggregate.Count);
        Assert.Equal("v", Assert.Single(aggregate.Get("m", new KeyValuePair<string, string>("k", "v")).Tags).Value);
    }

    [Fact]
    public void Record_OnAKnownSeries_AllocatesNothing()
    {
        var series = new MetricAggregate(_time).Get("m");
        for (var i = 0; i < 100; i++)
        {
            series.Record(TimeSpan.FromMilliseconds(1), span: null);
        }

        // Another processor's shard may be made meanwhile: of a few rounds one is clean.
        Assert.Equal(0, Enumerable.Range(0, 20).Min(_ =>
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < 1000; i++)
            {
                series.Record(TimeSpan.FromMilliseconds(1), span: null);
            }

            return GC.GetAllocatedBytesForCurrentThread() - before;
        }));
    }

    [Fact]
    public async Task WhereNothingIsSent_IdleSeriesGoAllTheSame_AndBusyOnesKeepAllTheyCounted()
    {
        using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        var meters = services.GetRequiredService<IMeterFactory>();
        var aggregate = new MetricAggregate(_time);
        using var counters = new CounterTotals(meters: meters, time: _time);
        var counter = meters.Create(new MeterOptions(CounterTotals.MeterName)).CreateCounter<long>("c");
        await using var sweep = new IdleSeriesSweep(new SeriesCollector(aggregate, counters), _time, NullLogger<IdleSeriesSweep>.Instance);
        sweep.Start();
        aggregate.Get("m", new KeyValuePair<string, string>("k", "idle")).Record(TimeSpan.FromSeconds(1));
        var busy = aggregate.Get("m", new KeyValuePair<string, string>("k", "busy"));
        counter.Add(1, new KeyValuePair<string, object?>("k", "idle"));
        var (began, counted) = (_time.GetUtcNow(), 0);
        await Eventually.Async(
            () =>
            {
                if (aggregate.Count + counters.Counters.Single().Count == 2)
                {
                    return true;
                }

                busy.Record(TimeSpan.FromSeconds(1));
                counter.Add(1, new KeyValuePair<string, object?>("k", "busy"));
                counted++;
                _time.Advance(IdleSeriesSweep.Period);
                return false;
            },
            "what is idle is gone");

        Assert.True(_time.GetUtcNow() - began >= MetricAggregate.IdleTimeout, "it went too early");
        Assert.Same(busy, Assert.Single(aggregate.Series));
        var text = string.Concat(PrometheusText.Histograms(aggregate)) + string.Concat(PrometheusText.Counters(counters));
        Assert.Contains($"m_seconds_count{{k=\"busy\"}} {counted}\n", text, StringComparison.Ordinal);
        Assert.Contains($"c_total{{k=\"busy\"}} {counted}\n", text, StringComparison.Ordinal);
        Assert.DoesNotContain("idle", text, StringComparison.Ordinal);
    }

    private void Look(MetricAggregate aggregate) => new SeriesCollector(aggregate, null).Look(_time.GetUtcNow());
}
