using Mesh.Config;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Resilience;

public sealed class RetryConditionTests
{
    [Theory]
    [InlineData(nameof(AttemptEnd.ConnectFailure), false, true)]
    [InlineData(nameof(AttemptEnd.Refused), false, true)]
    [InlineData(nameof(AttemptEnd.Reset), true, false)]
    [InlineData(nameof(AttemptEnd.Timeout), true, false)]
    public void ShouldRetry_ResetBeforeRequest_OnlyWhatWasNeverSent(string end, bool idempotent, bool expected) =>
        Assert.Equal(expected, RetryDecider.ShouldRetry(On(RetryOn.ResetBeforeRequest), new(Enum.Parse<AttemptEnd>(end)), idempotent));

    [Fact]
    public void ShouldRetry_Retriable4xx_Is409AndIdempotent()
    {
        Assert.True(RetryDecider.ShouldRetry(On(RetryOn.Retriable4xx), new(AttemptEnd.Response, 409), idempotent: true));
        Assert.False(RetryDecider.ShouldRetry(On(RetryOn.Retriable4xx), new(AttemptEnd.Response, 409), idempotent: false));
        Assert.False(RetryDecider.ShouldRetry(On(RetryOn.Retriable4xx), new(AttemptEnd.Response, 404), idempotent: true));
    }

    [Fact]
    public void ShouldRetry_RetriableHeader_NeverDoesTwiceWhatMustNotBe()
    {
        var policy = On(RetryOn.RetriableHeaders);
        Assert.True(RetryDecider.ShouldRetry(policy, new(AttemptEnd.Response, 200), idempotent: true, headerMatches: true));
        Assert.False(RetryDecider.ShouldRetry(policy, new(AttemptEnd.Response, 200), idempotent: false, headerMatches: true));
        Assert.True(RetryDecider.ShouldRetry(policy, new(AttemptEnd.Response, 200, 9), idempotent: false, headerMatches: true));
        Assert.False(RetryDecider.ShouldRetry(policy, new(AttemptEnd.Response, 200, 0), idempotent: false, headerMatches: true));
        Assert.False(RetryDecider.ShouldRetry(On(RetryOn.Reset), new(AttemptEnd.Response, 200), idempotent: true, headerMatches: true));
    }

    [Theory]
    [InlineData(50, 0, 1_000, 500)]
    [InlineData(0, 3, 1_000, 30)]
    [InlineData(0, 0, 1_000, 0)]
    [InlineData(100, 1, 20, 30)]
    public void Budget_OfTheCluster_IsAShareAndAMinimum(int percent, int minPerSecond, int calls, int expected)
    {
        var time = new FakeTimeProvider();
        var budget = new RetryBudget(time) { Size = new RetryBudgetSize(percent, minPerSecond) };
        for (var i = 0; i < calls; i++)
        {
            budget.CountCall(time.GetTimestamp());
        }

        var taken = 0;
        while (taken < 10_000 && budget.TryTake(time.GetTimestamp()))
        {
            taken++;
        }

        Assert.Equal(expected, taken);
    }

    [Fact]
    public void ConcurrencyLimit_CallersOwn_NarrowsOnlyItself()
    {
        var limit = new ConcurrencyLimit { Max = 3 };
        Assert.True(limit.TryEnter(1));
        Assert.False(limit.TryEnter(1));
        Assert.True(limit.TryEnter() && limit.TryEnter(99));
        Assert.False(limit.TryEnter(99));
        Assert.Equal(3, limit.InFlight);
    }

    private static RetryPolicy On(RetryOn on) => RetryDecider.Default with { On = on };
}
