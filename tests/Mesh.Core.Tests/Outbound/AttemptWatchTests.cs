using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Outbound;

public sealed class AttemptWatchTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(1);
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void Headers_NoRequestBody_BeginWithTheAttempt()
    {
        using var watch = new AttemptWatch(_time, Limit, null, requestEnded: true, default);
        _time.Advance(Limit - Tick);
        Assert.False(watch.Token.IsCancellationRequested);

        _time.Advance(Tick);

        Assert.True(watch.Token.IsCancellationRequested);
        Assert.Equal(AttemptWatch.Headers, watch.Expired);
    }

    [Fact]
    public void Headers_RequestBody_BeginAtItsEnd()
    {
        using var watch = new AttemptWatch(_time, Limit, null, requestEnded: false, default);
        _time.Advance(Limit * 5);
        watch.RequestEnded();
        _time.Advance(Limit - Tick);
        Assert.Null(watch.Expired);

        _time.Advance(Tick);

        Assert.Equal(AttemptWatch.Headers, watch.Expired);
    }

    [Fact]
    public void Idle_EveryByte_BeginsAnew()
    {
        using var watch = new AttemptWatch(_time, null, Limit, requestEnded: false, default);
        for (var i = 0; i < 10; i++)
        {
            _time.Advance(Limit - Tick);
            watch.Touch();
        }

        Assert.Null(watch.Expired);
        _time.Advance(Limit - Tick);
        Assert.Null(watch.Expired);
        _time.Advance(Tick);
        Assert.Equal(AttemptWatch.Idle, watch.Expired);
    }

    [Fact]
    public void Both_TheEarlierOneCounts()
    {
        using var watch = new AttemptWatch(_time, Limit, Limit / 2, requestEnded: true, default);
        _time.Advance(Limit / 4);
        watch.Touch();
        _time.Advance(Limit / 4);
        watch.Touch();
        _time.Advance((Limit / 2) - Tick);
        Assert.Null(watch.Expired);
        watch.Touch();

        _time.Advance(Tick);

        Assert.Equal(AttemptWatch.Headers, watch.Expired);
    }

    [Fact]
    public void Caller_Cancels_IsNoExpiry()
    {
        using var caller = new CancellationTokenSource();
        using var watch = new AttemptWatch(_time, Limit, Limit, requestEnded: true, caller.Token);

        caller.Cancel();

        Assert.True(watch.Token.IsCancellationRequested);
        Assert.Null(watch.Expired);
    }

    [Fact]
    public void Dispose_BeforeTheLimit_NothingHappensAnyMore()
    {
        using var caller = new CancellationTokenSource();
        var watch = new AttemptWatch(_time, Limit, Limit, requestEnded: true, caller.Token);

        watch.Dispose();

        _time.Advance(Limit * 2);
        caller.Cancel();
        Assert.Null(watch.Expired);
        Assert.False(watch.Token.IsCancellationRequested);
    }
}
