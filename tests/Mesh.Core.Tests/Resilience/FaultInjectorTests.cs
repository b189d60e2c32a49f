using Mesh.Config;
using Mesh.Traffic;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Resilience;

[Trait("gRFC", "A33")]
public sealed class FaultInjectorTests
{
    private const int All = 1_000_000;
    private static readonly TimeSpan _second = TimeSpan.FromSeconds(1);
    private readonly FakeTimeProvider _time = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Inject_DelayAndAbort_DelaysFirst()
    {
        var injecting = Injector(new FaultInjection { Delay = _second, DelayPerMillion = All, AbortHttpStatus = 503, AbortPerMillion = All }).InjectAsync(new Head(), null, Cancel);
        Assert.False(injecting.IsCompleted);
        _time.Advance(_second);

        Assert.Equal(new InjectedFault(_second, false, false, 503, null), await injecting);
    }

    [Fact]
    public async Task Inject_Shares_AreIndependentDraws()
    {
        var injector = Injector(new FaultInjection { Delay = TimeSpan.FromTicks(1), DelayPerMillion = All / 4, AbortGrpcStatus = 14, AbortPerMillion = All / 2 });
        var (delays, aborts, both) = (0, 0, 0);
        const int Calls = 4_000;
        for (var i = 0; i < Calls; i++)
        {
            // No wait: the delay is the time that is left, which is none.
            var fault = await injector.InjectAsync(new Head(), null, Cancel).AsTask().WaitAsync(Cancel).AdvanceUntilDone(_time);
            delays += fault.Delay > TimeSpan.Zero ? 1 : 0;
            aborts += fault.GrpcStatus == 14 ? 1 : 0;
            both += fault.Delay > TimeSpan.Zero && fault.GrpcStatus == 14 ? 1 : 0;
        }

        Assert.InRange(delays, Calls * 0.22, Calls * 0.28);
        Assert.InRange(aborts, Calls * 0.47, Calls * 0.53);
        Assert.InRange(both, Calls * 0.10, Calls * 0.15);
    }

    [Fact]
    public async Task Inject_DelayBeyondTheCallsTime_EndsWithIt()
    {
        var injecting = Injector(new FaultInjection { Delay = 10 * _second, DelayPerMillion = All, AbortHttpStatus = 503, AbortPerMillion = All }).InjectAsync(new Head(), _second, Cancel);
        _time.Advance(_second);

        Assert.Equal(new InjectedFault(_second, false, true, null, null), await injecting);
    }

    [Fact]
    public async Task Inject_Cancelled_Throws_AndIsNoLongerActive()
    {
        using var cancel = new CancellationTokenSource();
        var injector = Injector(new FaultInjection { Delay = _second, DelayPerMillion = All, MaxActive = 1 });
        var injecting = injector.InjectAsync(new Head(), null, cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await injecting);

        var again = injector.InjectAsync(new Head(), null, Cancel);
        _time.Advance(_second);
        Assert.Equal(_second, (await again).Delay);
    }

    [Fact]
    public async Task Inject_MoreThanMaxActive_GoOnWithoutAFault()
    {
        var injector = Injector(new FaultInjection { Delay = _second, DelayPerMillion = All, AbortHttpStatus = 503, AbortPerMillion = All, MaxActive = 1 });
        var first = injector.InjectAsync(new Head(), null, Cancel);

        Assert.Equal(default, await injector.InjectAsync(new Head(), null, Cancel));

        _time.Advance(_second);
        Assert.Equal(503, (await first).HttpStatus);
        var next = injector.InjectAsync(new Head(), null, Cancel);
        Assert.False(next.IsCompleted);
        _time.Advance(_second);
        Assert.Equal(503, (await next).HttpStatus);
    }

    [Fact]
    public async Task Inject_AfterItsEnd_DoesNothing()
    {
        var injector = Injector(new FaultInjection { AbortHttpStatus = 503, AbortPerMillion = All, ExpiresAt = _time.GetUtcNow() + _second });
        Assert.Equal(503, (await injector.InjectAsync(new Head(), null, Cancel)).HttpStatus);
        _time.Advance(_second);
        Assert.Equal(default, await injector.InjectAsync(new Head(), null, Cancel));
    }

    [Fact]
    public async Task Inject_OtherCalls_AreSpared()
    {
        var injector = Injector(new FaultInjection { AbortHttpStatus = 503, AbortPerMillion = All, Headers = [new HeaderMatcher("x-chaos", HeaderMatchKind.Present)] });
        Assert.Equal(default, await injector.InjectAsync(new Head(), null, Cancel));
        Assert.Equal(503, (await injector.InjectAsync(new Head(("x-chaos", "")), null, Cancel)).HttpStatus);
    }

    [Theory]
    [InlineData("", null, null)]
    [InlineData("x-envoy-fault-abort-request=503", 503, null)]
    [InlineData("x-envoy-fault-abort-request=999", null, null)]
    [InlineData("x-envoy-fault-abort-request=-1", null, null)]
    [InlineData("x-envoy-fault-abort-grpc-request=14", null, 14)]
    [InlineData("x-envoy-fault-abort-grpc-request=17", null, null)]
    [InlineData("x-envoy-fault-abort-request=503 x-envoy-fault-abort-grpc-request=14", 503, 14)]
    [InlineData("x-envoy-fault-abort-request=503 x-envoy-fault-abort-request-percentage=0", null, null)]
    [InlineData("x-envoy-fault-abort-request=503 x-envoy-fault-abort-request-percentage=100", 503, null)]
    [InlineData("x-envoy-fault-abort-request=503 x-envoy-fault-abort-request-percentage=2000000000", 503, null)]
    public async Task Inject_AbortByHeader_DoesWhatTheCallerAsks(string headers, int? http, int? grpc)
    {
        var fault = await Injector(new FaultInjection { AbortByHeader = true, AbortPerMillion = All }).InjectAsync(Head.Of(headers), null, Cancel);
        Assert.Equal((http, grpc), (fault.HttpStatus, fault.GrpcStatus));
    }

    [Fact]
    public async Task Inject_DelayByHeader_DoesWhatTheCallerAsks_AtMostAsOftenAsConfigured()
    {
        var injector = Injector(new FaultInjection { DelayByHeader = true, DelayPerMillion = All });
        var injecting = injector.InjectAsync(Head.Of("x-envoy-fault-delay-request=250"), null, Cancel);
        Assert.False(injecting.IsCompleted);
        _time.Advance(TimeSpan.FromMilliseconds(250));
        Assert.Equal(new InjectedFault(TimeSpan.FromMilliseconds(250), true, false, null, null), await injecting);
        Assert.Equal(TimeSpan.Zero, (await injector.InjectAsync(new Head(), null, Cancel)).Delay);
        Assert.Equal(TimeSpan.Zero, (await injector.InjectAsync(Head.Of("x-envoy-fault-delay-request=250 x-envoy-fault-delay-request-percentage=0"), null, Cancel)).Delay);
        var never = Injector(new FaultInjection { DelayByHeader = true, DelayPerMillion = 0 });
        Assert.Equal(TimeSpan.Zero, (await never.InjectAsync(Head.Of("x-envoy-fault-delay-request=250 x-envoy-fault-delay-request-percentage=100"), null, Cancel)).Delay);
    }

    private FaultInjector Injector(FaultInjection settings) => new(settings, _time, new Random(1));

    private sealed class Head(params (string Name, string Value)[] headers) : RequestHead
    {
        public override string Method => "GET";

        public override string Authority => "cart";

        public override string Path => "/";

        public override string Query => string.Empty;

        public static Head Of(string headers) => new([.. headers.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(h => (h.Split('=')[0], h.Split('=')[1]))]);

        public override string? Header(string name) => headers.FirstOrDefault(h => h.Name == name).Value;
    }
}

internal static class FakeTimeExtensions
{
    /// <summary>Moves fake time on until the task has nothing to wait for.</summary>
    public static async Task<T> AdvanceUntilDone<T>(this Task<T> task, FakeTimeProvider time)
    {
        while (!task.IsCompleted)
        {
            time.Advance(TimeSpan.FromMilliseconds(1));
            await Task.Yield();
        }

        return await task;
    }
}
