using Grpc.Core;
using Mesh.ControlPlane.Telemetry;
using Mesh.ControlPlane.Tests.Hosting;
using Mesh.Protos.Otlp;
using Mesh.Spiffe;
using Mesh.Telemetry;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.Telemetry;

public sealed class GoldenMetricsTests
{
    private static readonly SpiffeId Storefront = SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/storefront");
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));

    [Fact]
    public async Task Export_OverMtls_GivesExactPair()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var certificate = await controlPlane.JoinAsync("shop", "storefront");
        using var channel = controlPlane.TlsChannel(certificate);
        var response = await new MetricsService.MetricsServiceClient(channel).ExportAsync(
            Shop(Calls(90, good: true), Calls(10, good: false), Attempts(95, good: true), Attempts(25, good: false)), cancellationToken: TestContext.Current.CancellationToken);
        Assert.Null(response.PartialSuccess);
        var pair = Assert.Single(Pair.Of(await AskAsync(controlPlane, GoldenBy.Pair)));
        Assert.Equal(("storefront", "shop", "payments", "shop"), (pair.Source, pair.SourceNamespace, pair.Destination, pair.DestinationNamespace));
        Assert.Equal(100, pair.Requests);
        Assert.Equal(95.0 / 120, pair.SuccessRate, 9);
        Assert.Equal(0.9, pair.EffectiveSuccessRate, 9);
        Assert.Equal(20, pair.Retries);
        Assert.Equal(1, pair.MtlsShare, 9);

        // All durations lie in the bucket (2^(-64/16), 2^(-63/16)] = (62.5 ms, 65.3 ms].
        Assert.Equal(1000 * Math.Pow(2, -63.5 / 16), pair.P50Ms, 0.001);
        Assert.Equal(1000 * Math.Pow(2, (-64 + 0.99) / 16), pair.P99Ms, 0.001);
        var endpoint = Assert.Single(EndpointRequests.Of(await AskAsync(controlPlane, GoldenBy.Endpoint)));
        Assert.Equal(new EndpointRequests("payments-v1", "shop", "10.0.0.1:80", 120), endpoint);
    }

    [Fact]
    public async Task Export_WithoutCertificate_IsUnauthenticated()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var channel = controlPlane.TlsChannel();
        var refused = await Assert.ThrowsAsync<RpcException>(() => new MetricsService.MetricsServiceClient(channel)
            .ExportAsync(Shop(), cancellationToken: TestContext.Current.CancellationToken).ResponseAsync);
        Assert.Equal(StatusCode.Unauthenticated, refused.StatusCode);
    }

    [Fact]
    public void Read_OfAnotherNamespace_IsRejectedAlone()
    {
        using var store = new GoldenBench(_time);
        var foreign = Shop(Calls(5, good: true));
        foreign.ResourceMetrics[0].Resource.Attributes[0].Value.StringValue = "bank";
        var spoofed = Calls(5, good: true);
        Tag(spoofed, MeshTags.SourceNamespace, "bank");
        var (rejected, reason) = store.Read([.. foreign.ResourceMetrics, .. Shop(spoofed, Calls(7, good: true)).ResourceMetrics], Storefront);
        Assert.Equal(2, rejected);
        Assert.Contains("bank", reason, StringComparison.Ordinal);
        Assert.Equal(7, Assert.Single(store.Pairs(null)).Requests);
    }

    [Fact]
    public void Read_InboundOfUnmeshedCaller_IsCounted()
    {
        using var store = new GoldenBench(_time);
        store.Read(Shop(Served(30, MeshTags.Unmeshed, "")).ResourceMetrics, Storefront);
        var pair = Assert.Single(store.Pairs(null));
        Assert.Equal((MeshTags.Unmeshed, "storefront", 30L, 0L), (pair.Source, pair.Destination, pair.Requests, pair.Retries));
        Assert.Equal(0, pair.MtlsShare);
        Assert.Equal(1, pair.SuccessRate);
        Assert.Equal(new EndpointRequests("storefront", "shop", "10.0.0.9:80", 30), Assert.Single(store.Endpoints(null)));
    }

    [Fact]
    public void Read_AttemptThatDidNotReach_IsNoRequestOfTheEndpoint()
    {
        using var store = new GoldenBench(_time);
        var lost = Attempts(4, good: false);
        Tag(lost, MeshTags.Reached, "false");
        store.Read(Shop(lost, Attempts(6, good: true)).ResourceMetrics, Storefront);
        Assert.Equal(6, Assert.Single(store.Endpoints(null)).Requests);
        Assert.Equal(0.6, Assert.Single(store.Pairs(null)).SuccessRate, 9);
    }

    [Fact]
    public void Pairs_Windowed_HoldOnlyTheWindow()
    {
        using var store = new GoldenBench(_time);
        store.Read(Shop(Calls(100, good: true)).ResourceMetrics, Storefront);
        _time.Advance(TimeSpan.FromSeconds(60));
        store.Read(Shop(Calls(20, good: true)).ResourceMetrics, Storefront);
        Assert.Equal(120, Assert.Single(store.Pairs(null)).Requests);
        var recent = Assert.Single(store.Pairs(TimeSpan.FromSeconds(10)));
        Assert.Equal((20L, 2.0), (recent.Requests, recent.Rps));
        Assert.Equal(120, Assert.Single(store.Pairs(TimeSpan.FromSeconds(120))).Requests);
        _time.Advance(TimeSpan.FromMinutes(20));
        Assert.Empty(store.Pairs(TimeSpan.FromMinutes(15)));
        Assert.Equal(120, Assert.Single(store.Pairs(null)).Requests);
    }

    [Fact]
    public void Pairs_AfterRestart_RateOverTheTimeThatTheReportsAreAbout()
    {
        using var store = new GoldenBench(_time);
        var merged = Calls(6_000, good: true);
        Took(merged, TimeSpan.FromMinutes(10));
        store.Read(Shop(merged).ResourceMetrics, Storefront);
        Assert.Equal(10, Assert.Single(store.Pairs(null)).Rps);
        Assert.Equal(10, Assert.Single(store.Pairs(TimeSpan.FromSeconds(10))).Rps);
        _time.Advance(TimeSpan.FromMinutes(10));
        Assert.Equal(5, Assert.Single(store.Pairs(null)).Rps);
    }

    [Fact]
    public void Pairs_WorkloadsReportingInTurn_AreNotSlowedByEachOther()
    {
        using var store = new GoldenBench(_time);
        for (var second = 0; second < 60; second++)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            if (second % 5 is 1 or 4)
            {
                var report = Calls(50, good: true);
                Took(report, TimeSpan.FromSeconds(5));
                store.Read(Shop(report).ResourceMetrics, Storefront);
            }
        }

        Assert.Equal(20, Assert.Single(store.Pairs(TimeSpan.FromSeconds(30))).Rps, 4.0);
    }

    [Fact]
    public void Read_ReportOfAbsurdLength_IsCutToTheLongest()
    {
        using var store = new GoldenBench(_time);
        var lying = Calls(900, good: true);
        (lying.ExponentialHistogram.DataPoints[0].StartTimeUnixNano, lying.ExponentialHistogram.DataPoints[0].TimeUnixNano) = (1, ulong.MaxValue);
        var backwards = Calls(900, good: true);
        (backwards.ExponentialHistogram.DataPoints[0].StartTimeUnixNano, backwards.ExponentialHistogram.DataPoints[0].TimeUnixNano) = (ulong.MaxValue, 1);
        store.Read(Shop(lying, backwards).ResourceMetrics, Storefront);
        Assert.Equal(2, Assert.Single(store.Pairs(null)).Rps);
    }

    [Fact]
    public void Pairs_CallsThatTheirCallerCancelled_AreCallsButNoFailures()
    {
        using var store = new GoldenBench(_time);
        var cancelled = Calls(100, good: false);
        Tag(cancelled, MeshTags.Outcome, MeshTags.Cancelled);
        var attempts = Histogram(MeshTags.ClientAttemptDuration, 100, good: false);
        Tag(attempts, MeshTags.Outcome, MeshTags.Cancelled);

        store.Read(Shop(cancelled, attempts).ResourceMetrics, Storefront);

        var only = Assert.Single(store.Pairs(null));
        Assert.Equal((100L, 1.0, 1.0, 0L), (only.Requests, only.SuccessRate, only.EffectiveSuccessRate, only.Retries));

        store.Read(Shop(Calls(3, good: true), Calls(1, good: false)).ResourceMetrics, Storefront);

        var pair = Assert.Single(store.Pairs(null));
        Assert.Equal((104L, 0.75), (pair.Requests, pair.EffectiveSuccessRate));
    }

    [Fact]
    public void Read_ForeignCallerThatNeverReports_IsCountedFromInbound()
    {
        using var store = new GoldenBench(_time);
        store.Read(Shop(Served(70, "gateway", "shop"), Served(5, "robot", "other")).ResourceMetrics, Storefront);
        Assert.Equal([("robot", "other", 5L), ("gateway", "shop", 70L)], store.Pairs(null).Select(p => (p.Source, p.SourceNamespace, p.Requests)));
        Assert.Equal(new EndpointRequests("storefront", "shop", "10.0.0.9:80", 75), Assert.Single(store.Endpoints(null)));
    }

    [Fact]
    public void Read_CallerBeginsToReport_WitnessedNoLongerCounts()
    {
        using var store = new GoldenBench(_time);
        store.Read(Shop(Served(70, "gateway", "shop"), Served(5, "robot", "shop"), Served(3, "gateway", "other")).ResourceMetrics, Storefront);
        var own = Calls(40, good: true);
        Tag(own, MeshTags.Source, "gateway");
        Tag(own, MeshTags.Destination, "storefront");
        store.Read(Shop(own).ResourceMetrics, SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/gateway"));

        // The namesake in another namespace and the one that is still silent stay.
        Assert.Equal(
            [("gateway", "other", 3L), ("gateway", "shop", 40L), ("robot", "shop", 5L)],
            store.Pairs(null).Select(p => (p.Source, p.SourceNamespace, p.Requests)));
        Assert.Equal(8, Assert.Single(store.Endpoints(null)).Requests);
        Assert.Equal(8, Assert.Single(store.Endpoints(TimeSpan.FromSeconds(10))).Requests);

        // What is witnessed later does not count either.
        store.Read(Shop(Served(9, "gateway", "shop")).ResourceMetrics, Storefront);
        Assert.Equal(40, store.Pairs(null).Single(p => p is { Source: "gateway", SourceNamespace: "shop" }).Requests);
    }

    [Fact]
    public void Quantiles_OverTwoBuckets_AreInterpolated()
    {
        var counts = new BucketCounts();
        counts.Add(0, 50);
        counts.Add(16, 50);
        Assert.Equal(Math.Pow(2, 1.0 / 16), counts.Quantile(0.5), 9);
        Assert.Equal(Math.Pow(2, 16.9 / 16), counts.Quantile(0.95), 9);
        Assert.Equal(0, new BucketCounts().Quantile(0.5));
    }

    [Fact]
    public void Read_MalformedPoints_AreRejected()
    {
        var wrongScale = Calls(1, good: true);
        wrongScale.ExponentialHistogram.DataPoints[0].Scale = 2;
        var wrongCount = Calls(1, good: true);
        wrongCount.ExponentialHistogram.DataPoints[0].Count = 99;
        var overflow = Calls(1, good: true);
        overflow.ExponentialHistogram.DataPoints[0].Positive.BucketCounts[0] = ulong.MaxValue;
        var cumulative = Calls(1, good: true);
        cumulative.ExponentialHistogram.AggregationTemporality = AggregationTemporality.Cumulative;
        var longTag = Calls(1, good: true);
        Tag(longTag, MeshTags.Destination, new string('x', 300));
        var hugeOffset = Calls(1, good: true);
        hugeOffset.ExponentialHistogram.DataPoints[0].Positive.Offset = int.MaxValue;
        using var store = new GoldenBench(_time);
        var (rejected, _) = store.Read(Shop(wrongScale, wrongCount, overflow, cumulative, longTag, hugeOffset).ResourceMetrics, Storefront);
        Assert.Equal(5, rejected);
        Assert.Equal(1, Assert.Single(store.Pairs(null)).Requests);
    }

    [Fact]
    public void Read_FinerScale_IsMergedIntoOurs()
    {
        var fine = Calls(1, good: true);
        var point = fine.ExponentialHistogram.DataPoints[0];
        (point.Scale, point.Positive.Offset) = (6, -256);
        using var store = new GoldenBench(_time);
        store.Read(Shop(fine).ResourceMetrics, Storefront);
        Assert.Equal(1000 * Math.Pow(2, -63.5 / 16), Assert.Single(store.Pairs(null)).P50Ms, 0.001);
    }

    [Fact]
    public void Store_FullOfSeries_CountsWhatItDrops()
    {
        using var store = new GoldenBench(_time, limits: new GoldenLimits(100, 1 << 20));
        for (var i = 0; i < 105; i++)
        {
            store.Store.Add(new SeriesKey(SeriesKind.Call, $"s{i}", "a", "d", "a"), new Measure(CallOutcome.Good, Tls: false, 1));
        }

        Assert.Equal(100, store.Pairs(null).Count);
        Assert.Equal((5L, 5), (store.Store.Dropped, store.Store.Fill.OverflowedSeries));

        // Who is silent for long makes room for who comes.
        _time.Advance(SeriesTable.Idle + TimeSpan.FromMinutes(1));
        store.Store.Add(new SeriesKey(SeriesKind.Call, "new", "a", "d", "a"), new Measure(CallOutcome.Good, Tls: false, 1));
        Assert.Contains(store.Pairs(null), p => p.Source == "new");
        Assert.Equal(5L, store.Store.Dropped);
    }

    internal static ExportMetricsServiceRequest Shop(params Metric[] metrics) => new()
    {
        ResourceMetrics =
        {
            new ResourceMetrics
            {
                Resource = new Resource { Attributes = { Text("service.namespace", "shop"), Text("service.name", "storefront") } },
                ScopeMetrics = { new ScopeMetrics { Metrics = { metrics } } },
            },
        },
    };

    internal static Metric Calls(ulong count, bool good) => Histogram(MeshTags.ClientCallDuration, count, good);

    private static async Task<IReadOnlyList<GoldenItem>> AskAsync(TestControlPlane controlPlane, GoldenBy by) =>
        (await controlPlane.Services.GetRequiredService<IGoldenQueries>()
            .ReadAsync(new GoldenQuery(by, GoldenQuery.Start, TimeProvider.System.GetUtcNow()), TestContext.Current.CancellationToken)).Items;

    internal static Metric Attempts(ulong count, bool good)
    {
        var metric = Histogram(MeshTags.ClientAttemptDuration, count, good);
        Tag(metric, MeshTags.Backend, "payments-v1");
        Tag(metric, MeshTags.BackendNamespace, "shop");
        Tag(metric, MeshTags.Endpoint, "10.0.0.1:80");
        Tag(metric, MeshTags.Reached, "true");
        return metric;
    }

    internal static Metric Served(ulong count, string source, string sourceNamespace)
    {
        var metric = Histogram(MeshTags.ServerCallDuration, count, good: true);
        Tag(metric, MeshTags.Source, source);
        Tag(metric, MeshTags.SourceNamespace, sourceNamespace);
        Tag(metric, MeshTags.Destination, "storefront");
        Tag(metric, MeshTags.Endpoint, "10.0.0.9:80");
        Tag(metric, MeshTags.Tls, "none");
        return metric;
    }

    internal static Metric Histogram(string name, ulong count, bool good)
    {
        var metric = new Metric
        {
            Name = name,
            Unit = "s",
            ExponentialHistogram = new ExponentialHistogram
            {
                AggregationTemporality = AggregationTemporality.Delta,
                DataPoints = { new ExponentialHistogramDataPoint { Scale = 4, Count = count, Positive = new() { Offset = -64, BucketCounts = { count } } } },
            },
        };
        Tag(metric, MeshTags.Source, "storefront");
        Tag(metric, MeshTags.SourceNamespace, "shop");
        Tag(metric, MeshTags.Destination, "payments");
        Tag(metric, MeshTags.DestinationNamespace, "shop");
        Tag(metric, MeshTags.Outcome, good ? MeshTags.Success : MeshTags.Failure);
        Tag(metric, MeshTags.Tls, "mesh");
        return metric;
    }

    internal static void Tag(Metric metric, string key, string value)
    {
        var attributes = metric.ExponentialHistogram.DataPoints[0].Attributes;
        if (attributes.FirstOrDefault(a => a.Key == key) is { } known)
        {
            known.Value.StringValue = value;
        }
        else
        {
            attributes.Add(Text(key, value));
        }
    }

    internal static void Took(Metric metric, TimeSpan time)
    {
        var point = metric.ExponentialHistogram.DataPoints[0];
        point.StartTimeUnixNano = 1_700_000_000_000_000_000;
        point.TimeUnixNano = point.StartTimeUnixNano + ((ulong)time.Ticks * 100);
    }

    internal static KeyValue Text(string key, string value) => new() { Key = key, Value = new AnyValue { StringValue = value } };
}
