using System.Globalization;
using System.Text.Json;
using Mesh.ControlPlane;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Hosting;
using Mesh.ControlPlane.Insight;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Telemetry;
using Mesh.ControlPlane.Xds;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace Mesh.Benchmarks;

/// <summary>What a refresh of the overview costs while ten workloads report: from slots that were summed up before, and with every count read each time, in turn on the same store at the same moment.</summary>
/// <remarks>Both have to say the same, to the last digit. An hour and a half lies in the file; each refresh is ten seconds after the one before, with what came in since.</remarks>
internal static class OverviewBench
{
    private const int Workloads = 10;
    private const int WarmUps = 10;
    private static readonly TimeSpan _report = TimeSpan.FromSeconds(5);

    public static async Task<int> RunAsync(OverviewSettings settings)
    {
        using var scratch = new Scratch();
        var time = new FakeTimeProvider(new DateTimeOffset(2026, 1, 1, 12, 0, 0, TimeSpan.Zero));
        var options = new MeshControlPlaneOptions { ConfigFolder = Directory.CreateDirectory(Path.Combine(scratch.Path, "manifests")).FullName, DataFolder = Path.Combine(scratch.Path, "data"), AdsPort = 0, GrpcPort = 0, HttpPort = 0 };
        await using var host = new MeshControlPlaneHost(options, ControlPlaneParts.Default, TimeProvider.System, NullLoggerFactory.Instance);
        await host.StartAsync(CancellationToken.None);
        using var store = new GoldenStore(time, DiskSlots.Open(scratch.Path, time, NullLogger.Instance), GoldenLimits.Default with { MaxBytes = 256L << 20 });
        var balancers = new BalancerTable();
        var folded = Reader(host.Services!, new StoreQueries(store, balancers, new NoPeers("bench"), time), time);
        var full = Reader(host.Services!, new FullQueries(store), time);
        var feed = new Feed(store, settings.Series);
        for (var i = 0; i < 540; i++)
        {
            Pass(time, store, feed);
        }

        Console.WriteLine($"# {Environment.ProcessorCount} processors, {Environment.Version}, {settings.Series} series of {Workloads} workloads, {settings.Refreshes} refreshes 10 s apart, {DateTime.UtcNow:yyyy-MM-dd}");
        var all = new List<(Cost Full, Cost Folded)>();
        for (var i = 0; i < WarmUps + settings.Refreshes; i++)
        {
            Pass(time, store, feed);
            var asked = InsightTime.Last(TimeSpan.FromMinutes(1), time.GetUtcNow());
            var (ofFull, ofFolded) = i % 2 == 0 ? (await MeasureAsync(full, asked), await MeasureAsync(folded, asked)) : Swapped(await MeasureAsync(folded, asked), await MeasureAsync(full, asked));
            if (ofFull.Document != ofFolded.Document)
            {
                Console.Error.WriteLine($"They differ after {i} refreshes:\n{ofFull.Document}\n{ofFolded.Document}");
                return 1;
            }

            if (i >= WarmUps)
            {
                all.Add((ofFull, ofFolded));
            }
        }

        Console.WriteLine("measure,full_median,folded_median,ratio_median,ratio_min,ratio_max");
        Print("cpu_ms_per_refresh", all, c => c.CpuMilliseconds);
        Print("bytes_per_refresh", all, c => c.Bytes);
        await host.StopAsync();
        return 0;
    }

    private static (Cost Full, Cost Folded) Swapped(Cost folded, Cost full) => (full, folded);

    private static InsightReader Reader(IServiceProvider services, IGoldenQueries golden, TimeProvider time) => new(
        golden, services.GetRequiredService<ModelStore>(), services.GetRequiredService<ClientRegistry>(), services.GetRequiredService<IssuanceLog>(), services.GetRequiredService<ChangeLog>(),
        services.GetRequiredService<FaultList>(), time);

    private static void Pass(FakeTimeProvider time, GoldenStore store, Feed feed)
    {
        for (var left = Slots.Fine; left > TimeSpan.Zero; left -= _report)
        {
            time.Advance(_report);
            feed.Report(_report);
        }

        store.Flush();
    }

    private static async Task<Cost> MeasureAsync(InsightReader reader, InsightTime asked)
    {
        var (cpu, bytes) = (Environment.CpuUsage.TotalTime, GC.GetTotalAllocatedBytes(precise: true));
        var overview = await reader.OverviewAsync(asked, CancellationToken.None);
        (cpu, bytes) = (Environment.CpuUsage.TotalTime - cpu, GC.GetTotalAllocatedBytes(precise: true) - bytes);
        return new Cost(cpu.TotalMilliseconds, bytes, JsonSerializer.Serialize(overview));
    }

    private static void Print(string measure, List<(Cost Full, Cost Folded)> all, Func<Cost, double> of)
    {
        double[] ratios = [.. all.Select(a => of(a.Folded) / of(a.Full)).Order()];
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{measure},{Median(all.Select(a => of(a.Full))):F1},{Median(all.Select(a => of(a.Folded))):F1},{Median(ratios):F3},{ratios[0]:F3},{ratios[^1]:F3}"));
    }

    private static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted[sorted.Length / 2];
    }

    private sealed record Cost(double CpuMilliseconds, double Bytes, string Document);

    /// <summary>Each workload calls the nine others, by five routes each and at as many endpoints as make the series.</summary>
    private sealed class Feed
    {
        private const int Routes = 5;
        private readonly GoldenStore _store;
        private readonly List<SeriesKey> _keys = [];
        private readonly Random _random = new(1);

        public Feed(GoldenStore store, int series)
        {
            _store = store;
            for (var endpoint = -1; _keys.Count < series; endpoint++)
            {
                foreach (var (from, to, route) in from f in Enumerable.Range(0, Workloads) from t in Enumerable.Range(0, Workloads) where f != t from r in Enumerable.Range(0, Routes) select (f, t, r))
                {
                    if (_keys.Count < series)
                    {
                        _keys.Add(new SeriesKey(endpoint < 0 ? SeriesKind.Call : SeriesKind.Attempt, $"svc-{from}", "shop", $"svc-{to}", "shop")
                        {
                            Route = $"svc-{to}/{route}",
                            Backend = endpoint < 0 ? string.Empty : $"svc-{to}",
                            BackendNamespace = endpoint < 0 ? string.Empty : "shop",
                            Endpoint = endpoint < 0 ? string.Empty : $"10.0.{to}.{endpoint}:80",
                        });
                    }
                }
            }
        }

        public void Report(TimeSpan took)
        {
            foreach (var key in _keys)
            {
                var durations = new BucketCounts();
                for (var bucket = 0; bucket < 6; bucket++)
                {
                    durations.Add(-120 + _random.Next(60), _random.Next(1, 20));
                }

                _store.Add(key, Measure.Of(durations), took);
            }
        }
    }

    /// <summary>Every count of every slot is read for each question.</summary>
    private sealed class FullQueries(GoldenStore store) : IGoldenQueries
    {
        public Task<GoldenAnswer<GoldenItem>> ReadAsync(GoldenQuery query, CancellationToken cancellationToken)
        {
            var plan = store.Plan(query.From, query.To, step: null);
            var part = store.ReadInFull(query, plan);
            return Task.FromResult(Answer(query, plan, part, GoldenMerge.Items(query, plan, [part])));
        }

        public Task<GoldenAnswer<GoldenSeries>> ReadSeriesAsync(GoldenQuery query, TimeSpan step, CancellationToken cancellationToken)
        {
            var plan = store.Plan(query.From, query.To, step);
            var part = store.ReadInFull(query, plan);
            return Task.FromResult(Answer(query, plan, part, GoldenMerge.Series(query, plan, [part])));
        }

        public Task<GoldenAnswer<DecisionCount>> DecisionsAsync(DateTimeOffset from, DateTimeOffset to, CancellationToken cancellationToken)
        {
            var plan = store.Plan(from, to, step: null);
            return Task.FromResult(Answer(new GoldenQuery(GoldenBy.Pair, from, to), plan, store.About(plan), store.Decisions(plan)));
        }

        public IReadOnlyList<BalancerState> Balancers(string service, string @namespace) => [];

        private static GoldenAnswer<T> Answer<T>(GoldenQuery query, GoldenPlan plan, GoldenPart part, IReadOnlyList<T> items) =>
            new(plan.From, query.To < plan.To ? query.To : plan.To, plan.Step, part.ReachesBackTo, part.Store, [], part.Gaps, items);
    }
}
