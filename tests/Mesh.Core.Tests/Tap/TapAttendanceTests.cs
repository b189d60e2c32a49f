using Grpc.Core;
using Mesh.Protos.Tap;
using Mesh.Tap;
using Mesh.Testing;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Core.Tests.Tap;

/// <summary>The workload's end of the stream to its control plane.</summary>
public sealed class TapAttendanceTests
{
    private readonly FakeTapServer _server = new();
    private readonly FakeTimeProvider _time = new(TimeProvider.System.GetUtcNow());
    private readonly FakeLogger<TapAttendance> _logger = new();
    private readonly List<(TimeSpan Each, TimeSpan Lasts)> _hurried = [];
    private readonly TapPoint _point;
    private readonly DenialReports _denials;

    public TapAttendanceTests() => (_point, _denials) = (new TapPoint(_time), new DenialReports(_time));

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Tap_Ordered_ItsExchangesAndWhatBecameOfThemAreReported_UntilItIsStopped()
    {
        await using var attendance = Start();
        Assert.Equal(("cart~1~shop", "cart", false), (await NextAsync(r => r.Hello is not null)).Hello is var h ? (h.NodeId, h.Workload, h.RefusesTaps) : default);

        await OrderAsync(new TapOrder { Start = new StartTap { Id = "t1", Client = new SideFilter { Name = "pricing" }, Path = "/p*", Status = "5xx", MaxPerSecond = 5, Headers = { "X-User" } } });
        await Eventually.Async(() => _point.Taps is not null, "the tap runs");
        var tap = Assert.Single(_point.Taps!);
        Assert.Equal("x-user", Assert.Single(tap.Settings.Headers), ignoreCase: true);
        Assert.True(tap.Wants(new TapFacts(false, "pricing", "shop", "GET", "/prices", 503, -1, true, TimeSpan.FromMilliseconds(3)), _time.GetTimestamp()));
        _point.Offer(tap, new TapExchange(false, _time.GetUtcNow(), TimeSpan.FromMilliseconds(3)) { PeerName = "pricing", Path = "/prices", Status = 503, GrpcStatus = 0, RequestHeaders = { ["x-user"] = "ann" } });

        var seen = Assert.Single((await NextAsync(r => r.Exchanges.Count > 0)).Exchanges);
        Assert.Equal(("t1", "pricing", "/prices", 503, true, 0, 3000L, "ann"), (seen.Tap, seen.PeerName, seen.Path, seen.Status, seen.HasGrpcStatus, seen.GrpcStatus, seen.LatencyUs, seen.RequestHeaders["x-user"]));
        var stats = Assert.Single((await NextAsync(r => r.Stats.Count > 0 && r.Stats[0].Sent > 0)).Stats);
        Assert.Equal((1UL, 1UL, 0UL), (stats.Seen, stats.Sent, stats.Dropped));

        await OrderAsync(new TapOrder { Stop = "t1" });
        await Eventually.Async(() => _point.Taps is null, "the tap has ended");
    }

    [Fact]
    public async Task Tap_StreamThatGoesOn_IsShownOnce_AndItsEndRefersToIt_ThoughTheFilterWouldNotTakeIt()
    {
        await using var attendance = Start();
        await OrderAsync(new TapOrder { Start = new StartTap { Id = "quiet", Client = new SideFilter(), MaxPerSecond = 5 } });
        await OrderAsync(new TapOrder { Start = new StartTap { Id = "t1", Client = new SideFilter { Name = "pricing" }, Path = "/watch", Status = "200", MaxPerSecond = 1, Opens = true } });
        await Eventually.Async(() => _point.Taps?.Length == 2, "the taps run");
        var taps = _point.Taps!;
        Assert.False(_point.Follows(taps, FakeStream.Begun with { Path = "/other" }));
        Assert.True(_point.Follows(taps, FakeStream.Begun));
        var (brief, stays, tooMany) = (new FakeStream(_time.GetTimestamp()), new FakeStream(_time.GetTimestamp()), new FakeStream(_time.GetTimestamp()));
        _point.Follow(brief);
        _point.Follow(stays);
        _point.Follow(tooMany);
        _time.Advance(OpenExchange.Patience - TimeSpan.FromMilliseconds(1));
        _point.ShowOpen();
        Assert.Equal(0, taps[1].Seen);
        brief.End();

        // One a second at most: the other one is dropped, and counted.
        var seen = Assert.Single((await NextAsync(r => r.Exchanges.Count > 0)).Exchanges);
        Assert.Equal(("t1", true, "/watch", 200), (seen.Tap, seen.Open, seen.Path, seen.Status));
        Assert.True(seen.Stream > 0 && seen.LatencyUs >= 1_000_000);
        Assert.Equal((0UL, 2UL, 1UL), await StatsAsync());

        Assert.Equal(((long)seen.Stream, 0L, 0L, 0L), (stays.NumberFor(taps[1]), stays.NumberFor(taps[0]), tooMany.NumberFor(taps[1]), brief.NumberFor(taps[1])));
        stays.End();
        Assert.True(taps[1].Wants(FakeStream.Begun with { Status = 503, Failed = true }, _time.GetTimestamp(), wasOpen: true));

        async Task<(ulong Quiet, ulong Seen, ulong Dropped)> StatsAsync()
        {
            var stats = (await NextAsync(r => r.Stats.Any(s => s.Tap == "t1" && s.Sent > 0))).Stats.ToDictionary(s => s.Tap);
            return (stats["quiet"].Seen, stats["t1"].Seen, stats["t1"].Dropped);
        }
    }

    [Fact]
    public async Task Tap_OperatorForbidsIt_IsNotBegun_AndHurryIsHeededAllTheSame()
    {
        await using var attendance = Start(refuses: true);
        Assert.True((await NextAsync(r => r.Hello is not null)).Hello.RefusesTaps);

        await OrderAsync(new TapOrder { Start = new StartTap { Id = "t1", Client = new SideFilter(), MaxPerSecond = 5 } });
        await OrderAsync(new TapOrder { Hurry = new Hurry { IntervalMs = 1000, LastsMs = 30_000 } });

        await Eventually.Async(() => _hurried.Count > 0, "it hurries");
        Assert.Equal((TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30)), Assert.Single(_hurried));
        Assert.Null(_point.Taps);
    }

    [Fact]
    public async Task Orders_ThatMakeNoSense_AreNotBegun()
    {
        await using var attendance = Start();
        StartTap[] bad =
        [
            new() { Id = "", Client = new SideFilter(), MaxPerSecond = 1 }, new() { Id = "a", MaxPerSecond = 1 }, new() { Id = "a", Client = new SideFilter() },
            new() { Id = "a", Client = new SideFilter(), MaxPerSecond = double.NaN }, new() { Id = "a", Client = new SideFilter(), MaxPerSecond = 1, Status = "often" },
            new() { Id = "a", Client = new SideFilter(), MaxPerSecond = 1, MinLatencyMs = -1 }, new() { Id = new string('a', 65), Client = new SideFilter(), MaxPerSecond = 1 },
        ];
        foreach (var order in bad)
        {
            await OrderAsync(new TapOrder { Start = order });
        }

        await OrderAsync(new TapOrder());
        await OrderAsync(new TapOrder { Hurry = new Hurry { IntervalMs = 1, LastsMs = 1 } });
        await Eventually.Async(() => _hurried.Count > 0, "all orders were read");
        Assert.Null(_point.Taps);
        Assert.Equal(bad.Length, _logger.Collector.GetSnapshot().Count(l => l.Id.Id == 3704));
    }

    [Fact]
    public async Task ControlPlane_WithoutTaps_IsLeftAloneQuietly()
    {
        _server.Refusal = new Status(StatusCode.Unimplemented, "unknown service");
        await using var attendance = Start();
        await Eventually.Async(() => _logger.Collector.GetSnapshot().Any(l => l.Id.Id == 3700), "it is understood");

        // Its own delay is armed by then or about to be: time moves on until it is asked again, and not before.
        _time.Advance(TapAttendance.NotServedRest - TimeSpan.FromSeconds(1));
        Assert.Equal(1, _server.Opened);
        await Eventually.Async(() => Tick(TimeSpan.FromMinutes(1)) && _server.Opened == 2, "it is asked again");
        Assert.DoesNotContain(_logger.Collector.GetSnapshot(), l => l.Level >= LogLevel.Information);
    }

    [Fact]
    public async Task Stream_BrokenOff_EndsItsTaps_AndIsOpenedAgain()
    {
        await using var attendance = Start();
        await OrderAsync(new TapOrder { Start = new StartTap { Id = "t1", Server = new SideFilter(), MaxPerSecond = 5 } });
        await Eventually.Async(() => _point.Taps is not null, "the tap runs");

        _server.Break();

        await Eventually.Async(() => _point.Taps is null, "the tap has ended");
        await Eventually.Async(() => Tick(TimeSpan.FromMilliseconds(100)) && _server.Opened == 2, "it attends again");
        await Eventually.Async(() => _denials.Listener is not null, "denials are wanted again");
        Assert.DoesNotContain(_logger.Collector.GetSnapshot(), l => l.Level >= LogLevel.Warning);
    }

    [Fact]
    public async Task Denials_AreToldAtMostOnceASecond_WithTheirCount()
    {
        await using var attendance = Start();
        await Eventually.Async(() => _denials.Listener is not null, "denials are wanted");
        Refuse();
        Assert.Equal(1UL, Assert.Single((await NextAsync(r => r.Denials.Count > 0)).Denials).Count);
        for (var i = 0; i < 50; i++)
        {
            Refuse();
        }

        var told = Assert.Single((await NextAsync(r => r.Denials.Count > 0)).Denials);
        Assert.Equal((50UL, "web", "/x", "shop/rule"), (told.Count, told.Caller, told.Path, told.Rule));
    }

    private sealed class FakeStream(long start) : OpenExchange(start)
    {
        public static TapFacts Begun { get; } = new(false, "pricing", "shop", "GET", "/watch", 0, -1, false, TimeSpan.Zero);

        protected override TapFacts Facts(TimeSpan latency) => Begun with { Latency = latency, Status = 200 };

        protected override TapExchange Copy(TapPoint point, ActiveTap tap, in TapFacts facts) => new(false, point.Time.GetUtcNow(), facts.Latency) { Path = facts.Path, Status = facts.Status };
    }

    private void Refuse()
    {
        if (_denials.Count("web", "shop/rule", audit: false))
        {
            _denials.Show("web", "shop/rule", audit: false, "GET", "/x", "");
        }
    }

    private TapAttendance Start(bool refuses = false)
    {
        var attendance = new TapAttendance(
            _point, _denials, new TapAttendant("cart~1~shop", "cart", refuses), (each, lasts) => _hurried.Add((each, lasts)), _ => new(_server), _time, new Random(1), _logger);
        attendance.Start();
        return attendance;
    }

    private async Task OrderAsync(TapOrder order) => await _server.Orders.Writer.WriteAsync(order, Token);

    private bool Tick(TimeSpan by)
    {
        _time.Advance(by);
        return true;
    }

    private async Task<TapReport> NextAsync(Func<TapReport, bool> wanted)
    {
        TapReport? found = null;
        await Eventually.Async(
            () =>
            {
                while (found is null && _server.Reports.Reader.TryRead(out var report))
                {
                    found = wanted(report) ? report : null;
                }

                return found is not null || !Tick(TimeSpan.FromMilliseconds(50));
            },
            "the report comes",
            TimeSpan.FromSeconds(30));
        return found!;
    }
}
