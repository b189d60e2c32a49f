using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Net;
using Mesh.Config;
using Mesh.Identity;
using Mesh.Outbound.Steps;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Outbound;

/// <summary>Which names are asked for, how many, and when they are given up; through the pipeline, as calls do it.</summary>
public sealed class AskedNamesTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly FakeLogCollector _logs = FakeLogCollector.Create(new FakeLogCollectorOptions());
    private readonly ControlPlane _source = new();
    private readonly TestCa _ca = new("cluster.local");
    private readonly LoggerFactory _loggers;
    private readonly ClusterRegistry _registry;
    private readonly OutboundTableStore _tables;
    private readonly OutboundPipeline _pipeline;
    private readonly TelemetryStep _telemetry;
    private readonly HttpMessageInvoker _own = new(new Answer(HttpStatusCode.Accepted));

    public AskedNamesTests()
    {
        _loggers = new LoggerFactory([new FakeLoggerProvider(_logs)]);
        // No wait ends by the clock, which these tests turn fast: a lost answer would hang.
        var settings = new OutboundSettings("storefront", "shop", "cluster.local") { ReadyTimeout = TimeSpan.FromDays(1) };
        _registry = new ClusterRegistry(new FixedIdentitySource(_ca.Identity("shop", "storefront")), _time, _loggers);
        _tables = new OutboundTableStore(_source, _registry, settings, new MetricAggregate(), _time, new Random(1), _loggers);
        _telemetry = new TelemetryStep(null, _time);
        _pipeline = new OutboundPipeline(_tables, settings, _telemetry, _time, new Random(1));
    }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _tables.Dispose();
        _telemetry.Dispose();
        _own.Dispose();
        _ca.Dispose();
        _loggers.Dispose();
        Assert.DoesNotContain(_logs.GetSnapshot(), r => r.Level >= LogLevel.Error);
    }

    [Fact]
    public async Task Sweep_NegativeUnusedForFiveMinutes_IsUnwatchedAndAskedAnew()
    {
        Assert.Equal(202, await CallAsync("example.com"));
        Advance(TimeSpan.FromMinutes(4.5));
        Assert.Equal(["example.com"], _source.Watched);
        Advance(TimeSpan.FromMinutes(1));
        Assert.Empty(_source.Watched);
        Assert.Null(_tables.Current.Find(new("example.com", 0)));

        Assert.Equal(202, await CallAsync("example.com"));
        Assert.Equal(["example.com", "example.com"], _source.Asked);
    }

    [Fact]
    public async Task Sweep_NegativeInUse_StaysAndIsAskedOnce()
    {
        for (var i = 0; i < 10; i++)
        {
            Assert.Equal(202, await CallAsync("example.com"));
            Advance(TimeSpan.FromMinutes(4));
        }

        Assert.Equal(["example.com"], _source.Asked);
        Assert.Equal(["example.com"], _source.Watched);
    }

    [Fact]
    public async Task Sweep_FoundUnusedForThirtyMinutes_IsUnwatchedAndFoundAgain()
    {
        _source.Services.Add("catalog");
        Assert.Equal(418, await CallAsync("catalog"));
        Advance(TimeSpan.FromMinutes(20));
        Assert.Equal(418, await CallAsync("catalog"));
        Advance(TimeSpan.FromMinutes(29));
        Assert.Equal(["catalog"], _source.Watched);
        Advance(TimeSpan.FromMinutes(2));
        Assert.Empty(_source.Watched);
        Assert.Equal(0, _tables.Names.Count);

        Assert.Equal(418, await CallAsync("catalog"));
    }

    [Fact]
    public async Task Sweep_FoundUnused_DrainsWhatNoOtherNameNeeds()
    {
        _source.Clusters["catalog"] = "shared";
        _source.Clusters["catalog.shop"] = "shared";
        _source.Clusters["cart"] = "own";
        foreach (var name in new[] { "catalog", "catalog.shop", "cart" })
        {
            Assert.Equal(503, await CallAsync(name)); // no endpoint
        }

        var shared = _registry.Get("shared");
        var own = _registry.Get("own");
        Advance(TimeSpan.FromMinutes(20));
        await CallAsync("catalog");
        Advance(TimeSpan.FromMinutes(20));

        Assert.Equal(["catalog"], _source.Watched);
        Assert.Same(shared, _registry.Get("shared"));
        Assert.NotSame(own, _registry.Get("own"));
    }

    [Fact]
    public async Task Sweep_FoundWithALongStream_Stays()
    {
        _source.Clusters["cart"] = "cart";
        await CallAsync("cart");
        Assert.True(_registry.Get("cart").Limit.TryEnter());
        Advance(TimeSpan.FromHours(2));
        Assert.Equal(["cart"], _source.Watched);

        _registry.Get("cart").Limit.Exit();
        Advance(TimeSpan.FromMinutes(31));
        Assert.Empty(_source.Watched);
    }

    [Fact]
    public async Task Ask_CrawlerOfThousandsOfHosts_StaysWithinTheCap()
    {
        for (var i = 0; i < 2 * AskedNames.Max; i++)
        {
            Assert.Equal(202, await CallAsync($"site{i}.com"));
        }

        Assert.Equal(AskedNames.Max, _source.Watched.Count);
        Assert.Equal(AskedNames.Max, _tables.Names.Count);
        Assert.Contains($"site{(2 * AskedNames.Max) - 1}.com", _source.Watched);
        Assert.Equal(2 * AskedNames.Max, _source.Asked.Count);
        Assert.Empty(_logs.GetSnapshot());

        Advance(TimeSpan.FromMinutes(6));
        Assert.Empty(_source.Watched);
        Assert.Equal(0, _tables.Names.Count);
    }

    [Fact]
    public async Task Ask_AtTheCap_EvictsTheLongestUnusedNegative()
    {
        _source.Services.Add("catalog");
        await CallAsync("catalog");
        await CallAsync("old.com");
        _time.Advance(TimeSpan.FromSeconds(1));
        await CallAsync("older.com");
        await FillAsync(2, AskedNames.Max - 3);
        await CallAsync("old.com");

        await CallAsync("new.com");

        Assert.DoesNotContain("older.com", _source.Watched);
        Assert.Superset(new HashSet<string> { "catalog", "old.com", "new.com" }, _source.Watched);
    }

    [Fact]
    public async Task Ask_NothingToEvict_PassesThroughUnaskedAndWarnsOnceAMinute()
    {
        await FillWithServicesAsync();

        Assert.Equal(202, await CallAsync("example.com"));
        Assert.Equal(202, await CallAsync("example.org"));
        Assert.DoesNotContain("example.com", _source.Asked);
        var said = Assert.Single(_logs.GetSnapshot());
        Assert.Equal(LogLevel.Warning, said.Level);
        Assert.Contains("'example.com'", said.Message, StringComparison.Ordinal);

        _time.Advance(TimeSpan.FromSeconds(61));
        await CallAsync("example.net");
        Assert.Equal(2, _logs.Count);
    }

    [Theory]
    [InlineData("cart.shop.svc")]
    [InlineData("cart.shop.svc.cluster.local")]
    public async Task Ask_NothingToEvictButAServiceForCertain_IsAsked(string name)
    {
        await FillWithServicesAsync();
        _source.Services.Add(name);

        Assert.Equal(418, await CallAsync(name));
        Assert.Empty(_logs.GetSnapshot());
    }

    [Fact]
    public async Task Ask_NothingToEvictButOnceFound_IsAsked()
    {
        _source.Services.Add("catalog");
        await CallAsync("catalog");
        Advance(TimeSpan.FromMinutes(31));
        Assert.Empty(_source.Watched);
        await FillWithServicesAsync();

        Assert.Equal(418, await CallAsync("catalog"));
        Assert.Empty(_logs.GetSnapshot());
    }

    [Fact]
    public async Task Ask_TwiceTheCapOfServices_IsRefusedNotSentInTheClear()
    {
        await FillWithServicesAsync();
        for (var i = AskedNames.Max; i < AskedNames.MaxServices; i++)
        {
            _source.Services.Add($"s{i}.shop.svc");
            Assert.Equal(418, await CallAsync($"s{i}.shop.svc"));
        }

        Assert.Equal(503, await CallAsync("one.more.svc"));
        Assert.Equal(202, await CallAsync("example.com"));
        Assert.Equal(AskedNames.MaxServices, _source.Watched.Count);
    }

    [Fact]
    public async Task Ask_OneNewNameAThousandTimesAtOnce_IsWatchedOnce()
    {
        _source.IsSilent = true;
        var calls = new ConcurrentBag<Task<int>>();
        Parallel.For(0, 1_000, _ => calls.Add(CallAsync("catalog")));
        Assert.Equal(["catalog"], _source.Asked);
        Assert.All(calls, c => Assert.False(c.IsCompleted));

        _source.Services.Add("catalog");
        _source.IsSilent = false;
        _source.Publish();

        Assert.All(await Task.WhenAll(calls), status => Assert.Equal(418, status));
        Assert.Equal(["catalog"], _source.Asked);
        Advance(TimeSpan.FromMinutes(31));
        Assert.Empty(_source.Watched);
    }

    [Fact]
    public async Task Ask_CallersGiveUp_NothingStays()
    {
        _source.IsSilent = true;
        using var patience = new CancellationTokenSource();
        var calls = Enumerable.Range(0, 1_000).Select(_ => CallAsync("catalog", patience.Token)).ToArray();
        _time.Advance(TimeSpan.FromSeconds(1));
        await patience.CancelAsync();
        foreach (var call in calls)
        {
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        }

        Assert.Equal(["catalog"], _source.Asked);
        Advance(TimeSpan.FromMinutes(5.5));
        Assert.Empty(_source.Watched);
        Assert.Equal(0, _tables.Names.Count);
    }

    [Fact]
    public async Task Ask_CallerHadGivenUpBefore_IsNotAsked()
    {
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => CallAsync("catalog", new CancellationToken(true)));
        Assert.Empty(_source.Asked);
    }

    [Fact]
    public async Task Ask_UnansweredThatNobodyWaitsFor_MakesRoomButNotWhileWaitedFor()
    {
        _source.IsSilent = true;
        using var patience = new CancellationTokenSource();
        var waiting = CallAsync("catalog", patience.Token);
        using var none = new CancellationTokenSource();
        var others = Enumerable.Range(1, AskedNames.Max - 1).Select(i => CallAsync($"s{i}", none.Token)).ToArray();
        Assert.Equal(202, await CallAsync("example.com"));

        await none.CancelAsync();
        await Task.WhenAll(others).ContinueWith(_ => { }, TaskScheduler.Default);
        var call = CallAsync("example.com", patience.Token);

        Assert.Contains("catalog", _source.Watched);
        Assert.Contains("example.com", _source.Watched);
        Assert.Equal(AskedNames.Max, _source.Watched.Count);
        await patience.CancelAsync();
        await Task.WhenAll(waiting, call).ContinueWith(_ => { }, TaskScheduler.Default);
    }

    [Fact]
    public async Task Unwatch_CallWantsTheNameMeanwhile_IsWatchedInTheEnd()
    {
        await CallAsync("example.com");
        Task<int>? call = null;
        _source.OnUnwatch = () => call ??= CallAsync("example.com");
        Advance(TimeSpan.FromMinutes(6));

        Assert.Equal(202, await call!);
        Assert.Equal(["example.com"], _source.Watched);
        Assert.Equal(1, _tables.Names.Count);
        _source.OnUnwatch = null;
        Advance(TimeSpan.FromMinutes(6));
        Assert.Empty(_source.Watched);
        Assert.Equal(0, _tables.Names.Count);
    }

    [Fact]
    public async Task Storm_ManyThreadsManyNamesAndSweeps_WatchesWhatItCounts()
    {
        var work = Enumerable.Range(0, 8).Select(worker => Task.Run(
            async () =>
            {
                var random = new Random(worker);
                for (var i = 0; i < 300; i++)
                {
                    Assert.Equal(202, await CallAsync($"site{random.Next(40)}.com"));
                    if (i % 20 == 0)
                    {
                        _time.Advance(TimeSpan.FromMinutes(1));
                    }
                }
            },
            Cancel));
        await Task.WhenAll(work).WaitAsync(TimeSpan.FromSeconds(60), Cancel);
        Assert.Equal(_tables.Names.Count, _source.Watched.Count);

        Advance(TimeSpan.FromMinutes(6));
        Assert.Equal(0, _tables.Names.Count);
        Assert.Empty(_source.Watched);
    }

    private async Task<int> CallAsync(string host, CancellationToken? cancellationToken = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://{host}/");
        using var response = await _pipeline.SendAsync(request, _own, limits: null, cancellationToken ?? Cancel);
        return (int)response.StatusCode;
    }

    private async Task FillAsync(int from, int count)
    {
        for (var i = from; i < from + count; i++)
        {
            await CallAsync($"s{i}");
        }
    }

    private async Task FillWithServicesAsync()
    {
        _source.Services.UnionWith(Enumerable.Range(0, AskedNames.Max).Select(i => $"s{i}"));
        await FillAsync(0, AskedNames.Max);
    }

    /// <summary>In steps, as time passes: the sweep looks at every one.</summary>
    private void Advance(TimeSpan time)
    {
        for (var gone = TimeSpan.Zero; gone < time; gone += AskedNames.SweepEvery)
        {
            _time.Advance(AskedNames.SweepEvery);
        }
    }

    /// <summary>A control plane that answers at once from what it knows: services, and names that do not exist.</summary>
    private sealed class ControlPlane : IConfigSource
    {
        private readonly Lock _lock = new();
        private readonly Lock _publishing = new();
        private readonly HashSet<string> _watched = [];
        private readonly List<string> _asked = [];
        private readonly Dictionary<string, ListenerResult> _known = [];

        public SnapshotStore Snapshots { get; } = new();

        public HashSet<string> Services { get; } = [];

        public Dictionary<string, string> Clusters { get; } = [];

        public bool IsSilent { get; set; }

        public Action? OnUnwatch { get; set; }

        public HashSet<string> Watched
        {
            get
            {
                lock (_lock)
                {
                    return [.. _watched];
                }
            }
        }

        public List<string> Asked
        {
            get
            {
                lock (_lock)
                {
                    return [.. _asked];
                }
            }
        }

        public void Watch(string listenerName)
        {
            lock (_lock)
            {
                _watched.Add(listenerName);
                _asked.Add(listenerName);
            }

            Publish();
        }

        public void Unwatch(string listenerName)
        {
            lock (_lock)
            {
                _watched.Remove(listenerName);
            }

            Publish();
            OnUnwatch?.Invoke();
        }

        public void Publish()
        {
            if (IsSilent)
            {
                return;
            }

            lock (_publishing)
            {
                var listeners = Watched.ToImmutableDictionary(n => n, Answer);
                var clusters = Clusters.Values.Distinct().Where(c => listeners.Values.OfType<ListenerResult.Found>().SelectMany(SnapshotBuilder.ClustersOf).Contains(c))
                    .ToImmutableDictionary(c => c, c => (ClusterResult)new ClusterResult.Unavailable("it has no endpoints"));
                Snapshots.Publish(new MeshSnapshot { Listeners = listeners, Clusters = clusters });
            }
        }

        private ListenerResult Answer(string name)
        {
            if (!_known.TryGetValue(name, out var result))
            {
                RouteAction? action = Clusters.TryGetValue(name, out var cluster) ? new RouteAction.Forward([new WeightedCluster(cluster, 1)])
                    : Services.Contains(name) ? new RouteAction.DirectResponse(418, string.Empty)
                    : null;
                _known[name] = result = action is null ? new ListenerResult.DoesNotExist("no such service") : new ListenerResult.Found(
                    new Listener(name) { Api = new HttpConnectionManager("r", null, null) },
                    new RouteConfiguration("r", [new VirtualHost("h", [name], [new Route("all", new RouteMatch(null, [], null), action)])]));
            }

            return result;
        }
    }

    private sealed class Answer(HttpStatusCode status) : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            Task.FromResult(new HttpResponseMessage(status));
    }
}
