using Mesh.ControlPlane.Telemetry;
using Mesh.Spiffe;
using Mesh.Telemetry;
using Microsoft.Extensions.Time.Testing;
using Xunit;
using static Mesh.ControlPlane.Tests.Telemetry.GoldenMetricsTests;

namespace Mesh.ControlPlane.Tests.Telemetry;

public sealed class GoldenStoreTests
{
    private static readonly SpiffeId Storefront = SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/storefront");
    private static readonly DateTimeOffset Noon = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);
    private readonly FakeTimeProvider _time = new(Noon);

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(100_003)]
    public void Report_OverManySlots_IsDividedWithoutLoss(int count)
    {
        using var bench = new GoldenBench(_time);
        _time.Advance(TimeSpan.FromMinutes(10));
        var durations = new BucketCounts();
        durations.Add(-64, count);
        durations.Add(-10, 3);
        bench.Store.Add(Pair("cart"), Measure.Of(durations), TimeSpan.FromSeconds(95));

        var series = Series(bench, TimeSpan.FromMinutes(10), TimeSpan.FromSeconds(10));

        Assert.Equal(count + 3, series.Requests.Sum(r => r ?? 0));
        Assert.Equal(count + 3, Assert.Single(bench.Pairs(TimeSpan.FromSeconds(100))).Requests);

        // Half of the tenth of the slots was not counted any more: 5 s of 95.
        if (count > 1000)
        {
            Assert.Equal(count * 5 / 95.0, series.Requests[^10]!.Value, 3.0);
            Assert.Equal(count * 10 / 95.0, series.Requests[^1]!.Value, 3.0);
        }
    }

    [Fact]
    public void LateReport_GoesToTheTimeThatItIsAbout_AndRatesStayRight()
    {
        using var bench = new GoldenBench(_time);
        _time.Advance(TimeSpan.FromMinutes(30));
        var durations = new BucketCounts();
        durations.Add(-64, 6_000);
        bench.Store.Add(Pair("cart"), Measure.Of(durations), TimeSpan.FromMinutes(10));

        Assert.Equal(10, Assert.Single(bench.Pairs(TimeSpan.FromSeconds(60))).Rps, 0.2);
        Assert.Equal(600, Assert.Single(bench.Pairs(TimeSpan.FromSeconds(60))).Requests, 5.0);
        Assert.Equal(6_000, Assert.Single(bench.Pairs(TimeSpan.FromMinutes(10))).Requests);
        Assert.Equal(10, Assert.Single(bench.Pairs(TimeSpan.FromMinutes(20))).Rps);
    }

    [Fact]
    public void AnyWindowOfWholeSteps_SumsToWhatWasReported_AlsoWhereSlotsWereSummedUp()
    {
        using var bench = new GoldenBench(_time);
        var random = new Random(7);
        var reported = new List<(DateTimeOffset End, long Count)>();
        for (var i = 0; i < 2_000; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(10));
            var durations = new BucketCounts();
            durations.Add(random.Next(-100, 0), random.Next(1, 50));
            bench.Store.Add(Pair("cart"), Measure.Of(durations, i % 5 == 0 ? CallOutcome.Bad : CallOutcome.Good), TimeSpan.FromSeconds(10));
            reported.Add((_time.GetUtcNow(), durations.Total));
            bench.Store.Flush();
        }

        foreach (var (back, length) in new[] { (0, 1), (1, 6), (3, 600), (17, 1_900), (200, 31), (90, 30), (0, 2_000) })
        {
            var to = _time.GetUtcNow() - (back * Slots.Fine);
            var from = to - (length * Slots.Fine);
            var answer = bench.Read(new GoldenQuery(GoldenBy.Pair, from, to));
            Assert.Equal((from, to), (answer.From, answer.To));
            Assert.Equal(reported.Where(r => r.End > from && r.End <= to).Sum(r => r.Count), Assert.Single(answer.Items).Numbers.Requests);
        }
    }

    [Fact]
    public void SlotsOlderThanSixHours_AreKeptByFiveMinutes_AndWithSevenDaysForgotten()
    {
        using var bench = new GoldenBench(_time);
        long all = 0;
        for (var i = 0; i < 12 * 24; i++)
        {
            _time.Advance(TimeSpan.FromMinutes(5));
            Count(bench, "cart", 100);
            all += 100;
            bench.Store.Flush();
        }

        var now = _time.GetUtcNow();
        var day = bench.Answer(GoldenBy.Pair, TimeSpan.FromDays(2));
        Assert.Equal((all, TimeSpan.FromMinutes(5)), (Assert.Single(day.Items).Numbers.Requests, day.Step));
        Assert.Equal(Noon, day.ReachesBackTo);
        var series = bench.ReadSeries(new GoldenQuery(GoldenBy.Pair, now - TimeSpan.FromHours(12), now), TimeSpan.FromSeconds(10));
        Assert.Equal(TimeSpan.FromMinutes(5), series.Step);
        Assert.Equal(Enumerable.Repeat<long?>(100, 144), Assert.Single(series.Items).Requests);

        _time.Advance(TimeSpan.FromDays(6.5));
        bench.Store.Flush();
        Assert.Equal(Noon + TimeSpan.FromDays(0.5), bench.Answer(GoldenBy.Pair, TimeSpan.FromDays(7)).ReachesBackTo);
        Assert.InRange(Assert.Single(bench.Items(GoldenBy.Pair, TimeSpan.FromDays(7))).Numbers.Requests, all / 2, (all / 2) + 100);
        Assert.Equal(all, Assert.Single(bench.Pairs(null)).Requests);
    }

    /// <summary>A young store has sums already, and all fine slots: a question that reaches back to before it began is not answered in steps of five minutes for that.</summary>
    [Fact]
    public void YoungStore_IsAnsweredFinelyFromBeforeItBegan()
    {
        _time.Advance(TimeSpan.FromMinutes(2));
        using var bench = new GoldenBench(_time, limits: GoldenLimits.Default);
        for (var i = 0; i < 7; i++)
        {
            Count(bench, "cart", 10);
            _time.Advance(TimeSpan.FromMinutes(1));
            bench.Store.Flush();
        }

        var now = _time.GetUtcNow();
        var series = bench.ReadSeries(new GoldenQuery(GoldenBy.Pair, now - TimeSpan.FromMinutes(15), now), Slots.Fine);
        Assert.Equal(Slots.Fine, series.Step);
        Assert.Equal(7, Assert.Single(series.Items).Requests.Count(n => n == 10));
        Assert.Equal(70, Assert.Single(series.Items).Requests.Sum());
        Assert.InRange(bench.Answer(GoldenBy.Pair, TimeSpan.FromMinutes(15)).ReachesBackTo, Noon + TimeSpan.FromMinutes(2) - Slots.Fine, Noon + TimeSpan.FromMinutes(2));
    }

    [Fact]
    public void ReportForASlotThatWasSummedUp_CountsInBoth()
    {
        using var bench = new GoldenBench(_time, limits: GoldenLimits.Default);
        Count(bench, "cart", 5);
        _time.Advance(TimeSpan.FromMinutes(21));
        bench.Store.Flush();
        Count(bench, "cart", 1_500, TimeSpan.FromMinutes(15));

        Assert.Equal(1_505, Assert.Single(bench.Items(GoldenBy.Pair, TimeSpan.FromMinutes(30))).Numbers.Requests);
        bench.Store.Flush();
        Assert.Equal(1_505, Assert.Single(bench.Items(GoldenBy.Pair, TimeSpan.FromMinutes(30))).Numbers.Requests);
        var fine = bench.ReadSeries(new GoldenQuery(GoldenBy.Pair, Noon - TimeSpan.FromMinutes(5), _time.GetUtcNow()), Slots.Fine);
        var coarse = bench.ReadSeries(new GoldenQuery(GoldenBy.Pair, Noon - TimeSpan.FromMinutes(5), _time.GetUtcNow()), Slots.Coarse);
        Assert.Equal(1_505, Assert.Single(fine.Items).Requests.Sum());
        Assert.Equal(1_505, Assert.Single(coarse.Items).Requests.Sum());
    }

    [Fact]
    public void Views_OfOnePair_AreKeptApartAndNeverAdded()
    {
        using var bench = new GoldenBench(_time);
        var served = Served(95, "storefront", "shop");
        Tag(served, MeshTags.Destination, "payments");
        bench.Read(Shop(served).ResourceMetrics, SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/payments"));
        bench.Read(Shop(Calls(90, good: true), Calls(10, good: false), Attempts(95, good: true), Attempts(15, good: false)).ResourceMetrics, Storefront);

        GoldenItem By(GoldenView view) => Assert.Single(bench.Items(GoldenBy.Pair, TimeSpan.FromMinutes(1), q => q with { View = view }));
        Assert.Equal((100L, 10L, 10L, "client"), (By(GoldenView.Auto).Numbers.Requests, By(GoldenView.Auto).Numbers.Failures, By(GoldenView.Auto).Numbers.Retries, By(GoldenView.Auto).Key.View));
        Assert.Equal(By(GoldenView.Auto), By(GoldenView.Client));
        Assert.Equal((95L, 0L, 0L, "server"), (By(GoldenView.Server).Numbers.Requests, By(GoldenView.Server).Numbers.Failures, By(GoldenView.Server).Numbers.Retries, By(GoldenView.Server).Key.View));
    }

    [Fact]
    public void Groups_HoldOnlyWhatTheyAreBy_AndFiltersNarrow()
    {
        using var bench = new GoldenBench(_time);
        foreach (var (route, backend, endpoint) in new[] { ("payments/0", "payments-v1", "10.0.0.1:80"), ("payments/1", "payments-v2", "10.0.0.2:80") })
        {
            var (calls, attempts, failed) = (Calls(10, good: true), Attempts(10, good: true), Attempts(2, good: false));
            foreach (var metric in new[] { calls, attempts, failed })
            {
                Tag(metric, MeshTags.Route, route);
            }

            foreach (var metric in new[] { attempts, failed })
            {
                Tag(metric, MeshTags.Backend, backend);
                Tag(metric, MeshTags.Endpoint, endpoint);
            }

            bench.Read(Shop(calls, attempts, failed).ResourceMetrics, Storefront);
        }

        var minute = TimeSpan.FromMinutes(1);
        var service = Assert.Single(bench.Items(GoldenBy.Service, minute));
        Assert.Equal((null, "payments", null, 20L, 24L, 4L), (service.Key.Source, service.Key.Destination, service.Key.Route, service.Numbers.Requests, service.Numbers.Attempts, service.Numbers.Retries));
        var workload = Assert.Single(bench.Items(GoldenBy.Workload, minute));
        Assert.Equal(("storefront", "shop", null), (workload.Key.Source, workload.Key.SourceNamespace, workload.Key.Destination));
        Assert.Equal(["payments/0", "payments/1"], bench.Items(GoldenBy.Route, minute).Select(i => i.Key.Route));
        Assert.Equal([("payments-v1", 12L, 2L), ("payments-v2", 12L, 2L)], bench.Items(GoldenBy.Backend, minute).Select(i => (i.Key.Backend, i.Numbers.Requests, i.Numbers.Failures)));
        var endpoint2 = Assert.Single(bench.Items(GoldenBy.Endpoint, minute, q => q with { Backend = "payments-v2" }));
        Assert.Equal(("10.0.0.2:80", 10.0 / 12), (endpoint2.Key.Endpoint, endpoint2.Numbers.SuccessRate));
        Assert.Empty(bench.Items(GoldenBy.Pair, minute, q => q with { Namespace = "bank" }));
        Assert.Equal(10, Assert.Single(bench.Items(GoldenBy.Pair, minute, q => q with { Route = "payments/1" })).Numbers.Requests);
    }

    [Fact]
    public void TimesWithoutCalls_AreNullInSeries()
    {
        using var bench = new GoldenBench(_time);
        Count(bench, "cart", 4);
        _time.Advance(TimeSpan.FromSeconds(20));
        Count(bench, "cart", 6);

        var series = Series(bench, TimeSpan.FromSeconds(30), Slots.Fine);

        Assert.Equal([4, null, 6], series.Requests);
        Assert.Equal([false, true, false], series.P99Ms.Select(p => p is null));
        Assert.Equal(_time.GetUtcNow() - TimeSpan.FromSeconds(30), series.T0);
    }

    [Fact]
    public void DecisionsAndBalancers_AreReadFromCountersAndGauges()
    {
        using var bench = new GoldenBench(_time);
        var retries = new Protos.Otlp.Metric { Name = MeshTags.ClientDecisions, Sum = new() { AggregationTemporality = Protos.Otlp.AggregationTemporality.Delta, IsMonotonic = true } };
        retries.Sum.DataPoints.Add(new Protos.Otlp.NumberDataPoint { AsInt = 7, Attributes = { Text(MeshTags.Decision, "retry"), Text(MeshTags.Reason, "503"), Text(MeshTags.Destination, "payments"), Text(MeshTags.DestinationNamespace, "shop") } });
        Protos.Otlp.Metric Gauge(string name, double value, params Protos.Otlp.KeyValue[] tags) => new()
        {
            Name = name,
            Gauge = new() { DataPoints = { new Protos.Otlp.NumberDataPoint { AsDouble = value, Attributes = { Text(MeshTags.Destination, "payments"), Text(MeshTags.DestinationNamespace, "shop"), Text(MeshTags.Endpoint, "10.0.0.1:80"), tags } } } },
        };
        var until = _time.GetUtcNow() + TimeSpan.FromSeconds(20);
        var (rejected, reason) = bench.Read(
            Shop(
                retries, Gauge(MeshTags.EndpointState, 1, Text(MeshTags.State, "ejected"), Text(MeshTags.Reason, "consecutive_failures")), Gauge(MeshTags.EndpointActive, 2),
                Gauge(MeshTags.EndpointEwma, 0.0031), Gauge(MeshTags.EndpointWeight, 1.5), Gauge(MeshTags.EndpointEjectedUntil, until.ToUnixTimeSeconds())).ResourceMetrics,
            Storefront);

        Assert.Equal((0L, null), (rejected, reason));
        var plan = bench.Store.Plan(_time.GetUtcNow() - TimeSpan.FromMinutes(1), _time.GetUtcNow(), null);
        Assert.Equal(new DecisionCount("storefront", "shop", "client", "retry", "503", "payments", "shop", 7), Assert.Single(bench.Store.Decisions(plan)));
        var state = Assert.Single(bench.Queries.Balancers("payments", "shop"));
        Assert.Equal(
            new BalancerState("storefront", "shop", string.Empty, "10.0.0.1:80", "ejected", 2, 3.1, 1.5, until, "consecutive_failures", _time.GetUtcNow()), state);
        _time.Advance(TimeSpan.FromSeconds(31));
        Assert.Empty(bench.Queries.Balancers("payments", "shop"));
    }

    [Fact]
    public void BytesAndConnections_AreCountedForThePair_ByBothSides_AndWhatIsOpenIsOfNow()
    {
        using var bench = new GoldenBench(_time);
        var payments = SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/payments");

        void Report(int round, long clientOpen, long serverOpen)
        {
            Protos.Otlp.KeyValue[] client = [Text(MeshTags.Source, "storefront"), Text(MeshTags.SourceNamespace, "shop"), Text(MeshTags.Destination, "ledger"), Text(MeshTags.DestinationNamespace, "shop"), Text(MeshTags.Tls, "mesh")];
            Protos.Otlp.KeyValue[] server = [Text(MeshTags.Source, "storefront"), Text(MeshTags.SourceNamespace, "shop"), Text(MeshTags.Destination, "payments"), Text(MeshTags.DestinationNamespace, "shop"), Text(MeshTags.Tls, "mesh")];
            bench.Read(
                Shop(
                    Sum(MeshTags.ClientConnectionIo, 5_000_000_000, [.. client, Text(MeshTags.IoDirection, "transmit")]), Sum(MeshTags.ClientConnectionIo, 7, [.. client, Text(MeshTags.IoDirection, "receive")]),
                    Sum(MeshTags.ClientConnectionOpened, 3, client), Open(MeshTags.ClientConnectionOpen, clientOpen, round, client), Open(MeshTags.XdsStaleness, 0, round)).ResourceMetrics,
                Storefront);
            var (rejected, reason) = bench.Read(
                Shop(
                    Sum(MeshTags.ServerConnectionIo, 11, [.. server, Text(MeshTags.IoDirection, "receive")]), Sum(MeshTags.ServerConnectionIo, 13, [.. server, Text(MeshTags.IoDirection, "transmit")]),
                    Sum(MeshTags.ServerConnectionOpened, 2, server), Open(MeshTags.ServerConnectionOpen, serverOpen, round, server), Open(MeshTags.XdsStaleness, 0, round)).ResourceMetrics,
                payments);
            Assert.Equal((0L, null), (rejected, reason));
        }

        GoldenNumbers Of(GoldenBy by, GoldenView view, string name) => Assert.Single(bench.Items(by, TimeSpan.FromMinutes(1), q => q with { View = view }), i => (by == GoldenBy.Workload ? i.Key.Source : i.Key.Destination) == name).Numbers;
        static (long, long?, long, long) Told(GoldenNumbers n) => (n.OpenedConnections, n.OpenConnections, n.ReceivedBytes, n.SentBytes);

        Report(1, clientOpen: 3, serverOpen: 2);
        Assert.Equal((3, 3, 5_000_000_000, 7), Told(Of(GoldenBy.Pair, GoldenView.Client, "ledger")));
        Assert.Equal((2, 2, 11, 13), Told(Of(GoldenBy.Pair, GoldenView.Server, "payments")));
        Assert.Equal((3, 3, 5_000_000_000, 7), Told(Of(GoldenBy.Service, GoldenView.Auto, "ledger")));
        Assert.Equal((3, 3, 5_000_000_000, 7), Told(Of(GoldenBy.Workload, GoldenView.Auto, "storefront")));
        // The caller reports itself: what the called side saw is not added.
        Assert.Equal("ledger", Assert.Single(bench.Items(GoldenBy.Pair, TimeSpan.FromMinutes(1))).Key.Destination);
        Assert.Empty(bench.Pairs(TimeSpan.FromMinutes(1)));

        // What the next round does not name is closed, also where it names nothing.
        Report(2, clientOpen: 1, serverOpen: 0);
        Assert.Equal((6, 1, 10_000_000_000, 14), Told(Of(GoldenBy.Pair, GoldenView.Client, "ledger")));
        Assert.Equal((4, 0, 22, 26), Told(Of(GoldenBy.Pair, GoldenView.Server, "payments")));
        Report(3, clientOpen: 0, serverOpen: 5);
        Assert.Equal(0, Of(GoldenBy.Pair, GoldenView.Client, "ledger").OpenConnections);

        // Who died takes them along at once; who is silent, after a while; and of a time past nobody knows.
        bench.Store.Open.Forget(new ReportingInstance(payments.ToString(), string.Empty));
        Assert.Equal(0, Of(GoldenBy.Pair, GoldenView.Server, "payments").OpenConnections);
        Report(4, clientOpen: 2, serverOpen: 0);
        _time.Advance(TimeSpan.FromSeconds(31));
        Assert.Equal(0, Of(GoldenBy.Pair, GoldenView.Client, "ledger").OpenConnections);
        var past = bench.Read(new GoldenQuery(GoldenBy.Pair, Noon - Slots.Fine, Noon) { View = GoldenView.Client });
        Assert.Equal(12L, Assert.Single(past.Items).Numbers.OpenedConnections);
        Assert.Null(past.Items[0].Numbers.OpenConnections);

        static Protos.Otlp.Metric Sum(string name, long value, Protos.Otlp.KeyValue[] tags) => new()
        {
            Name = name,
            Sum = new() { AggregationTemporality = Protos.Otlp.AggregationTemporality.Delta, IsMonotonic = true, DataPoints = { new Protos.Otlp.NumberDataPoint { AsInt = value, Attributes = { tags } } } },
        };
        static Protos.Otlp.Metric Open(string name, long value, int round, params Protos.Otlp.KeyValue[] tags) => new()
        {
            Name = name,
            // As the exporter does it: what is 0 is not there.
            Gauge = value == 0 && tags.Length > 0 ? new() : new() { DataPoints = { new Protos.Otlp.NumberDataPoint { TimeUnixNano = (ulong)round, AsDouble = value, Attributes = { tags } } } },
        };
    }

    [Fact]
    public void FullStore_ForgetsTheOldestFirst_AndSumsAfterFineSlots()
    {
        using var bench = new GoldenBench(_time, limits: new GoldenLimits(20_000, 200_000));
        for (var i = 0; i < 3 * 360; i++)
        {
            _time.Advance(Slots.Fine);
            for (var s = 0; s < 10; s++)
            {
                Count(bench, $"s{s}", 10 + s);
            }

            bench.Store.Flush();
            Assert.InRange(bench.Store.Fill.Bytes, 0, 200_000);
        }

        // What is an hour old is there in sums, and exactly.
        var back = _time.GetUtcNow() - TimeSpan.FromHours(2);
        var sum = bench.Read(new GoldenQuery(GoldenBy.Pair, back, back + TimeSpan.FromMinutes(30)) { Source = "s3" });
        Assert.Equal(180 * 13, Assert.Single(sum.Items).Numbers.Requests);
    }

    [Fact]
    public void DamagedPart_IsRefusedWhole()
    {
        var counts = new SeriesCounts { Good = 3 };
        counts.Durations.Add(-5, 3);
        var part = SlotCodec.Encode(new Dictionary<int, SeriesCounts> { [4] = counts, [900] = counts });
        var read = new SeriesCounts();
        SlotCodec.Decode(part, id => id == 900 ? read : null);
        Assert.Equal((3L, 3L), (read.Good, read.Durations.Total));
        for (var cut = 1; cut < part.Length / 2; cut++)
        {
            Assert.Throws<InvalidDataException>(() => SlotCodec.Decode(part.AsSpan(0, part.Length - cut), _ => new SeriesCounts()));
        }
    }

    private static SeriesKey Pair(string source) => new(SeriesKind.Call, source, "shop", "payments", "shop");

    private static void Count(GoldenBench bench, string source, int count, TimeSpan took = default)
    {
        var durations = new BucketCounts();
        durations.Add(-64, count);
        bench.Store.Add(Pair(source), Measure.Of(durations), took);
    }

    private GoldenSeries Series(GoldenBench bench, TimeSpan window, TimeSpan step) =>
        Assert.Single(bench.ReadSeries(new GoldenQuery(GoldenBy.Pair, _time.GetUtcNow() - window, _time.GetUtcNow()), step).Items);
}
