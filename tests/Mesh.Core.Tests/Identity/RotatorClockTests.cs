using Mesh.Config;
using Mesh.Identity;
using Mesh.Testing;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Xunit;

namespace Mesh.Core.Tests.Identity;

/// <summary>Clocks that jump, machines that sleep, an authority that is away for days: the rotator recovers alone.</summary>
public sealed class RotatorClockTests : IAsyncDisposable
{
    private static readonly TimeSpan Day = TimeSpan.FromHours(24);
    private readonly JumpingTime _time = new(TimeProvider.System.GetUtcNow());
    private readonly FakeLogger<SvidRotator> _logger = new();
    private readonly TestCa _ca;
    private PushedSvids _source;
    private SvidRotator _rotator = null!;

    public RotatorClockTests()
    {
        _ca = new TestCa("cluster.local", _time);
        _source = PushedSvids.From(_ca, Day);
    }

    public async ValueTask DisposeAsync()
    {
        await _rotator.DisposeAsync();
        _ca.Dispose();
        Assert.DoesNotContain(_logger.Collector.GetSnapshot(), l => l.Level == LogLevel.Critical);
    }

    [Fact]
    public async Task Clock_JumpsForward16Hours_RenewsWithinAMinute()
    {
        await StartAsync(Day);

        _time.Jump(TimeSpan.FromHours(16));
        await Breath.AdvanceAsync(_time, TimeSpan.FromMinutes(2));

        await Eventually.Async(() => _source.Calls == 2, "renewed");
    }

    [Fact]
    public async Task Laptop_SleptPastTheEnd_SaysSoAndRenewsWithinAMinute()
    {
        await StartAsync(Day);
        _source.Failure = new SvidException("no network yet", needsPerson: false);

        // While it sleeps only the wall clock goes on.
        _time.Jump(TimeSpan.FromHours(30));
        await Breath.AdvanceAsync(_time, TimeSpan.FromMinutes(2));
        Assert.Single(Logged(3005));
        Assert.Equal(1, _rotator.Current!.Generation);
        _source.Failure = null;
        await Breath.AdvanceAsync(_time, TimeSpan.FromMinutes(1));

        await Eventually.Async(() => _rotator.Current!.Generation == 2, "renewed");
    }

    [Fact]
    public async Task Clock_JumpsBackAnHour_RenewsBeforeTheLeafEndsAllTheSame()
    {
        // By the wall clock the renewal would now come an hour and a half after the issue: half an hour after the leaf's end as its peers see it.
        await StartAsync(TimeSpan.FromHours(1));

        _time.Jump(TimeSpan.FromHours(-1));
        await Breath.AdvanceAsync(_time, TimeSpan.FromMinutes(37));

        await Eventually.Async(() => _source.Calls == 2, "renewed at half its life");
    }

    [Fact]
    public async Task Clock_JumpsBackWhileBackingOff_TriesAgainInTime()
    {
        await StartAsync(TimeSpan.FromHours(1));
        _source.Failure = new SvidException("away", needsPerson: false);
        await Breath.AdvanceAsync(_time, TimeSpan.FromMinutes(40));
        var before = _source.Calls;
        Assert.True(before > 1);

        _time.Jump(TimeSpan.FromHours(-1));
        _source.Failure = null;
        await Breath.AdvanceAsync(_time, TimeSpan.FromMinutes(1));

        await Eventually.Async(() => _rotator.Current!.Generation == 2, "renewed within a backoff");
    }

    [Theory]
    [InlineData(16)]
    [InlineData(-1)]
    public async Task Clock_JumpsThereAndBack_GoesOnRenewing(int hours)
    {
        await StartAsync(Day);
        _time.Jump(TimeSpan.FromHours(hours));
        await Breath.AdvanceAsync(_time, TimeSpan.FromMinutes(3));
        _time.Jump(TimeSpan.FromHours(-hours));
        var before = _source.Calls;

        await Breath.AdvanceAsync(_time, TimeSpan.FromHours(15), TimeSpan.FromMinutes(1));

        await Eventually.Async(() => _source.Calls > before, "renewed");
        Assert.DoesNotContain(_logger.Collector.GetSnapshot(), l => l.Level >= LogLevel.Error);
    }

    [Fact]
    public async Task Clock_IsBehindTheCertificate_IsSaidAndItIsUsed()
    {
        _time.Jump(TimeSpan.FromHours(-1));
        _source.Issue = () =>
        {
            var identity = _ca.Odd(new OddLeaf { Begins = TimeSpan.FromMinutes(55), Ends = TimeSpan.FromHours(25) });
            return new IssuedSvid(identity.Svid, identity.Bundle);
        };

        await StartAsync(null);

        await Eventually.Async(() => Logged(3010).Length == 1, "it is said");
        Assert.Equal(LogLevel.Warning, Logged(3010)[0].Level);
    }

    [Fact]
    public async Task Authority_AwayFor48Hours_WarnsAtThreeQuartersErrsAtTheEndAndRecovers()
    {
        await StartAsync(Day);
        _source.Failure = new SvidException("away", needsPerson: false);
        var step = TimeSpan.FromMinutes(1);

        await Breath.AdvanceAsync(_time, TimeSpan.FromHours(17.5), step);
        Assert.Empty(Logged(3004));
        await Breath.AdvanceAsync(_time, TimeSpan.FromHours(1), step);
        Assert.Equal(LogLevel.Warning, Assert.Single(Logged(3004)).Level);
        Assert.Empty(Logged(3005));
        await Breath.AdvanceAsync(_time, TimeSpan.FromHours(6), step);
        Assert.Equal(LogLevel.Error, Assert.Single(Logged(3005)).Level);
        await Breath.AdvanceAsync(_time, TimeSpan.FromHours(23.5), step);
        Assert.Equal((1, 1), (Logged(3004).Length, Logged(3005).Length));
        Assert.Equal(1, _rotator.Current!.Generation);
        Assert.Equal("away", _rotator.Problem);
        _source.Failure = null;
        await Breath.AdvanceAsync(_time, TimeSpan.FromMinutes(1));

        await Eventually.Async(() => _rotator.Current!.Generation == 2, "renewed by itself");
        Assert.Null(_rotator.Problem);
    }

    private FakeLogRecord[] Logged(int id) => [.. _logger.Collector.GetSnapshot().Where(l => l.Id.Id == id)];

    private async Task StartAsync(TimeSpan? life)
    {
        if (life is { } each)
        {
            _source = PushedSvids.From(_ca, each);
        }

        _rotator = new SvidRotator(_source, _time, new Random(1), _logger);
        _rotator.Start(new SnapshotStore());
        await _rotator.GetAsync(TestContext.Current.CancellationToken);
    }
}
