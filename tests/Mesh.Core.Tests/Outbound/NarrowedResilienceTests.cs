using Mesh.Config;
using Mesh.Resilience;
using Xunit;

namespace Mesh.Outbound;

/// <summary>What an app allows narrows its routes and never widens them.</summary>
public sealed class NarrowedResilienceTests
{
    private static readonly RouteAction.Forward Bare = new([new WeightedCluster("c", 1)]);
    private static readonly RetryPolicy Policy = RetryDecider.Default with { NumRetries = 3, PerTryTimeout = TimeSpan.FromSeconds(2) };
    private static readonly RouteAction.Forward Armed = Bare with { Timeout = TimeSpan.FromSeconds(10), Retry = Policy, Hedging = new Hedging(0, TimeSpan.FromSeconds(1), 3) };

    [Theory]
    [InlineData(4, 1, 2, 4, 1, 2)]
    [InlineData(60, 60, 60, 10, 2, 3)]
    [InlineData(null, null, null, 10, 2, 3)]
    public void For_Limits_TheSmallerOneCounts(int? timeout, int? attempt, int? retries, int expectedTimeout, int expectedAttempt, int expectedRetries)
    {
        var resilience = Narrow(Armed).For(new CallLimits(Seconds(timeout), Seconds(attempt), retries))!;

        Assert.Equal(
            (TimeSpan.FromSeconds(expectedTimeout), TimeSpan.FromSeconds(expectedAttempt), expectedRetries),
            (resilience.Timeout, resilience.Policy.PerTryTimeout, resilience.Policy.NumRetries));
    }

    [Fact]
    public void For_RouteSaysNothing_TheAppsTimesCount()
    {
        var resilience = Narrow(Bare).For(new CallLimits(Seconds(4), Seconds(1), 9) { MaxRequests = 5 })!;

        Assert.Equal((Seconds(4), Seconds(1), RetryDecider.Default.NumRetries, 5), (resilience.Timeout, resilience.Policy.PerTryTimeout, resilience.Policy.NumRetries, resilience.MaxRequests));
    }

    [Fact]
    public void For_NoRetriesAndNothingElse_IsNull() => Assert.Null(Narrow(Bare).For(new CallLimits(null, null, 0)));

    [Fact]
    public void For_Hedging_EndsWithTheAppsWordOrItsAttempts()
    {
        var narrowed = Narrow(Armed);

        Assert.True(narrowed.For(new CallLimits(null, null, 1))!.Hedges);
        Assert.False(narrowed.For(new CallLimits(null, null, 0))!.Hedges);
        Assert.False(narrowed.For(new CallLimits(null, null, null) { NoHedging = true })!.Hedges);
        Assert.False(Narrow(Bare).For(new CallLimits(Seconds(1), null, null))!.Hedges);
    }

    [Fact]
    public void For_EqualLimits_AreCompiledOnceAndOldOnesForgotten()
    {
        var narrowed = Narrow(Armed);
        var first = narrowed.For(new CallLimits(Seconds(1), null, 1));
        Assert.Same(first, narrowed.For(new CallLimits(Seconds(1), null, 1)));

        for (var i = 0; i < NarrowedResilience.Max; i++)
        {
            narrowed.For(new CallLimits(TimeSpan.FromMilliseconds(i), null, 2));
        }

        Assert.NotSame(first, narrowed.For(new CallLimits(Seconds(1), null, 1)));
    }

    private static TimeSpan? Seconds(int? seconds) => seconds is { } s ? TimeSpan.FromSeconds(s) : null;

    private static NarrowedResilience Narrow(RouteAction.Forward forward) => new(forward, null, TimeProvider.System, new Random(1));
}
