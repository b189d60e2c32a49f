using Mesh.Config;
using Mesh.Identity;
using Mesh.Testing;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Core.Tests.Identity;

public sealed class SvidRotatorTests : IAsyncDisposable
{
    private readonly FakeTimeProvider _time = new(TimeProvider.System.GetUtcNow());
    private readonly FakeLogger<SvidRotator> _logger = new();
    private readonly SnapshotStore _snapshots = new();
    private readonly TestCa _ca;
    private readonly FakeSvidSource _source;
    private readonly SvidRotator _rotator;

    public SvidRotatorTests()
    {
        _ca = new TestCa("cluster.local", _time);
        _source = new FakeSvidSource(_ca);
        _rotator = new SvidRotator(_source, _time, new Random(1), _logger);
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        await _rotator.DisposeAsync();
        _ca.Dispose();
        Assert.DoesNotContain(_logger.Collector.GetSnapshot(), l => l.Level == LogLevel.Critical);
    }

    [Fact]
    public async Task Start_FirstCertificate_IsGivenToThoseWhoWait()
    {
        var waiting = _rotator.GetAsync(Token).AsTask();
        Assert.Null(_rotator.Current);
        _rotator.Start(_snapshots);

        Assert.Equal(1, (await waiting).Generation);
        Assert.Same(await waiting, _rotator.Current);
        Assert.Null(_rotator.Problem);
    }

    [Fact]
    public async Task Renewal_ComesBetweenFortyAndSixtyPercentOfLife()
    {
        await StartAsync();

        await AdvanceAsync(TimeSpan.FromMinutes(23.5));
        Assert.Equal(1, _source.Calls);
        await AdvanceAsync(TimeSpan.FromMinutes(13));
        await Eventually.Async(() => _rotator.Current!.Generation == 2, "the second certificate is in force");
        Assert.Equal(2, _source.Calls);
    }

    [Fact]
    public async Task Renewal_Fails_KeepsTheOldWarnsAtThreeQuartersAndRecovers()
    {
        await StartAsync();
        _source.Failure = new SvidException("away", needsPerson: false);

        await AdvanceAsync(TimeSpan.FromMinutes(40));
        Assert.Equal(1, _rotator.Current!.Generation);
        Assert.Equal("away", _rotator.Problem);
        Assert.Single(Logged(3001));
        Assert.Empty(Logged(3004));
        await AdvanceAsync(TimeSpan.FromMinutes(6));
        Assert.Single(Logged(3004));
        Assert.Empty(Logged(3005));
        await AdvanceAsync(TimeSpan.FromMinutes(20));
        Assert.Single(Logged(3005));
        _source.Failure = null;
        await AdvanceAsync(TimeSpan.FromMinutes(1));

        await Eventually.Async(() => _rotator.Current!.Generation == 2, "the renewal worked in the end");
        Assert.Null(_rotator.Problem);
    }

    [Fact]
    public async Task FirstCertificate_Refused_IsAnErrorOnceAndTriedAgain()
    {
        _source.Failure = new SvidException("wrong token", needsPerson: true);
        _rotator.Start(_snapshots);
        await Eventually.Async(() => _source.Calls == 1, "the first try");
        await AdvanceAsync(TimeSpan.FromMinutes(5));

        Assert.True(_source.Calls > 5);
        Assert.Equal(LogLevel.Error, Assert.Single(Logged(3003)).Level);
        Assert.Contains("wrong token", _logger.Collector.GetSnapshot()[0].Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task LeafPolicy_Newer_RenewsOnceWithinASecond()
    {
        await StartAsync();

        Publish(_time.GetUtcNow().AddMinutes(-10));
        await AdvanceAsync(TimeSpan.FromSeconds(5));
        Assert.Equal(1, _source.Calls);

        // A clock that is ahead of ours must not make us renew for ever.
        Publish(_time.GetUtcNow().AddHours(1));
        await AdvanceAsync(TimeSpan.FromSeconds(5));
        await Eventually.Async(() => _source.Calls == 2, "renewed once");
        Publish(_snapshots.Current.LeafPolicy!.IssuedAfter);
        await AdvanceAsync(TimeSpan.FromSeconds(30));
        Assert.Equal(2, _source.Calls);
    }

    [Fact]
    public async Task LeafPolicy_FirstSeenAndNewerThanTheLeaf_Renews()
    {
        await StartAsync();
        _time.Advance(TimeSpan.FromSeconds(10));

        Publish(_time.GetUtcNow());
        await AdvanceAsync(TimeSpan.FromSeconds(2));

        await Eventually.Async(() => _source.Calls == 2, "renewed");
    }

    [Fact]
    public async Task Clock_JumpsForward_RenewsWithinAMinute()
    {
        await StartAsync();
        _time.AdjustTime(_time.GetUtcNow() + TimeSpan.FromMinutes(50));

        // Twice the longest wait: the loop may have begun to wait only after the jump. The renewal itself would be half an hour away.
        await AdvanceAsync(TimeSpan.FromMinutes(2));

        await Eventually.Async(() => _source.Calls == 2, "renewed");
    }

    [Fact]
    public async Task Dispose_BeforeTheFirstCertificate_EndsTheWait()
    {
        _source.Failure = new SvidException("away", needsPerson: false);
        _rotator.Start(_snapshots);
        var waiting = _rotator.GetAsync(Token).AsTask();

        await _rotator.DisposeAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
    }

    private async Task StartAsync()
    {
        _rotator.Start(_snapshots);
        await _rotator.GetAsync(Token);
    }

    private void Publish(DateTimeOffset issuedAfter) => _snapshots.Publish(MeshSnapshot.Empty with { LeafPolicy = new LeafPolicy(issuedAfter) });

    private IEnumerable<FakeLogRecord> Logged(int id) => _logger.Collector.GetSnapshot().Where(l => l.Id.Id == id);

    /// <summary>In steps with room for the loop in between: it takes its next timer after it has run.</summary>
    private async Task AdvanceAsync(TimeSpan by)
    {
        var step = by < TimeSpan.FromMinutes(1) ? TimeSpan.FromMilliseconds(500) : TimeSpan.FromSeconds(15);
        using var breath = new PeriodicTimer(TimeSpan.FromMilliseconds(2));
        for (var done = TimeSpan.Zero; done < by; done += step)
        {
            _time.Advance(step);
            await breath.WaitForNextTickAsync(Token);
        }
    }

    private sealed class FakeSvidSource(TestCa ca) : ISvidSource
    {
        private int _calls;

        public int Calls => Volatile.Read(ref _calls);

        public SvidException? Failure { get; set; }

        public Task<IssuedSvid> FetchAsync(WorkloadIdentity? current, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _calls);
            if (Failure is { } failure)
            {
                throw failure;
            }

            var identity = ca.Identity("shop", "cart", TimeSpan.FromHours(1));
            return Task.FromResult(new IssuedSvid(identity.Svid, identity.Bundle));
        }
    }
}
