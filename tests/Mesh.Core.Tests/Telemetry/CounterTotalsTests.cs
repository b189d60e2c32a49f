using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Telemetry;

public sealed class CounterTotalsTests : IDisposable
{
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly Meter _meter;
    private readonly CounterTotals _totals;

    public CounterTotalsTests()
    {
        var meters = _services.GetRequiredService<IMeterFactory>();
        _totals = new CounterTotals(meters: meters, time: _time);
        _meter = meters.Create(new MeterOptions(CounterTotals.MeterName));
    }

    public void Dispose()
    {
        _totals.Dispose();
        _services.Dispose();
    }

    [Fact]
    public void Add_ToAKnownSeries_AllocatesNothing()
    {
        using var decisions = new DecisionCounter(_services.GetRequiredService<IMeterFactory>(), MeshTags.ClientDecisions);
        decisions.Count(Decisions.Retry, "503", "catalog");

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++)
        {
            decisions.Count(Decisions.Retry, "503", "catalog");
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(1001, Assert.Single(_totals.All).Total);
    }

    [Fact]
    public void Meters_OfAnotherHost_AreNotOurs()
    {
        using var other = new ServiceCollection().AddMetrics().BuildServiceProvider();
        using var theirs = new DecisionCounter(other.GetRequiredService<IMeterFactory>(), MeshTags.ClientDecisions);
        theirs.Count(Decisions.Retry, "503");

        Assert.Empty(_totals.All);
    }

    [Fact]
    public void Observables_AreReadWhenAsked()
    {
        var (open, seen) = (3L, 10L);
        _meter.CreateObservableGauge("g", () => new Measurement<long>(open, new KeyValuePair<string, object?>("k", "v")));
        _meter.CreateObservableGauge("broken", () => Broken());
        _meter.CreateObservableCounter("c", () => seen);

        var gauge = Assert.Single(_totals.ReadGauges(out var problem));
        Assert.Equal(("g", 3.0, "v"), (gauge.Instrument.Name, gauge.Value, gauge.Tags.Single().Value));
        Assert.NotNull(problem);
        var counter = _totals.Counters.Single().All.Single();
        Assert.Equal(10, counter.Collect());
        seen = 14;
        _totals.ReadGauges(out _);
        Assert.Equal((4, 14), (counter.Collect(), counter.Total));

        static long Broken() => throw new InvalidOperationException();
    }

    [Fact]
    public async Task Series_ExpiringWhileCounted_LosesNothingAndCountsNothingTwice()
    {
        const int Each = 30_000;
        var counter = _meter.CreateCounter<long>("c");
        using var done = new CancellationTokenSource();
        var (collected, expired, added) = (0L, 0, 0L);
        var collector = Task.Run(
            () =>
            {
                while (!done.IsCancellationRequested)
                {
                    foreach (var instrument in _totals.Counters)
                    {
                        foreach (var series in instrument.All)
                        {
                            var count = series.Collect();
                            collected += count;
                            var before = instrument.Count;
                            instrument.Looked(series, count != 0, _time.GetUtcNow(), idleTimeout: TimeSpan.Zero);
                            Volatile.Write(ref expired, expired + (instrument.Count < before ? 1 : 0));
                        }
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
                counter.Add(1, new KeyValuePair<string, object?>("k", "v"));
                if (i % 100 == 0)
                {
                    Thread.Sleep(i < Each ? 0 : 1);
                }
            }

            Interlocked.Add(ref added, i);
        })));
        await done.CancelAsync();
        await collector;

        Assert.True(expired > 0, "it never expired, so nothing was tested");
        Assert.Equal(added, collected + _totals.Counters.Sum(i => i.All.Sum(s => s.Collect())));
    }

    [Fact]
    public void Cap_Reached_IsSeen()
    {
        var counter = _meter.CreateCounter<long>("c");
        for (var i = 0; i < CounterTotals.MaxSeries + 3; i++)
        {
            counter.Add(1, new KeyValuePair<string, object?>("k", $"{i}"));
        }

        var instrument = Assert.Single(_totals.Counters);
        Assert.Equal((CounterTotals.MaxSeries, 3), (instrument.Count, instrument.Overflowed));
    }
}
