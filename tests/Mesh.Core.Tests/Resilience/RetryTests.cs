using Mesh.Config;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Resilience;

public sealed class RetryTests
{
    private readonly FakeTimeProvider _time = new();

    [Theory]
    [InlineData(nameof(AttemptEnd.ConnectFailure), 0, false, true)]
    [InlineData(nameof(AttemptEnd.Refused), 0, false, true)]
    [InlineData(nameof(AttemptEnd.Reset), 0, false, false)]
    [InlineData(nameof(AttemptEnd.Reset), 0, true, true)]
    [InlineData(nameof(AttemptEnd.Timeout), 0, false, false)]
    [InlineData(nameof(AttemptEnd.Response), 503, false, false)]
    [InlineData(nameof(AttemptEnd.Response), 503, true, true)]
    [InlineData(nameof(AttemptEnd.Response), 500, true, false)]
    [InlineData(nameof(AttemptEnd.Response), 200, true, false)]
    [InlineData(nameof(AttemptEnd.Cancelled), 0, true, false)]
    [InlineData(nameof(AttemptEnd.Overloaded), 0, true, false)]
    [InlineData(nameof(AttemptEnd.NoEndpoint), 0, true, false)]
    public void ShouldRetry_MeshDefault_OnlyWhatIsSafe(string end, int status, bool idempotent, bool expected) =>
        Assert.Equal(expected, RetryDecider.ShouldRetry(RetryDecider.Default, new AttemptResult(Enum.Parse<AttemptEnd>(end), status), idempotent));

    [Theory]
    [InlineData(1, nameof(RetryOn.GrpcCancelled))]
    [InlineData(4, nameof(RetryOn.GrpcDeadlineExceeded))]
    [InlineData(8, nameof(RetryOn.GrpcResourceExhausted))]
    [InlineData(13, nameof(RetryOn.GrpcInternal))]
    [InlineData(14, nameof(RetryOn.GrpcUnavailable))]
    [Trait("gRFC", "A44")]
    public void ShouldRetry_GrpcStatus_OnlyWhenThePolicyNamesIt(int status, string on)
    {
        var result = new AttemptResult(AttemptEnd.Response, 200, status);

        Assert.True(RetryDecider.ShouldRetry(RetryDecider.Default with { On = Enum.Parse<RetryOn>(on) }, result, idempotent: false));
        Assert.False(RetryDecider.ShouldRetry(RetryDecider.Default, result, idempotent: false));
    }

    [Fact]
    public void ShouldRetry_RetriableStatusCodes_AreThoseListed()
    {
        var policy = RetryDecider.Default with { On = RetryOn.RetriableStatusCodes, RetriableStatusCodes = [429] };

        Assert.True(RetryDecider.ShouldRetry(policy, new(AttemptEnd.Response, 429), idempotent: true));
        Assert.False(RetryDecider.ShouldRetry(policy, new(AttemptEnd.Response, 503), idempotent: true));
    }

    [Theory]
    [InlineData(500, -1, true)]
    [InlineData(499, -1, false)]
    [InlineData(200, 0, false)]
    [InlineData(200, 2, true)]
    [InlineData(200, 5, false)]
    [InlineData(200, 7, true)]
    [InlineData(200, 14, true)]
    public void IsFailure_HttpAndGrpcStatus_AsLinkerdClassifies(int http, int grpc, bool expected) =>
        Assert.Equal(expected, new AttemptResult(AttemptEnd.Response, http, grpc).IsFailure);

    [Fact]
    public void Budget_NoCalls_AllowsTenASecondOverItsWindow()
    {
        var budget = new RetryBudget(_time);
        Assert.Equal(100, TakeAll(budget));

        _time.Advance(TimeSpan.FromSeconds(11));
        Assert.Equal(100, TakeAll(budget));
    }

    [Fact]
    public void Budget_ThousandCalls_AllowsAFifthMore()
    {
        var budget = new RetryBudget(_time);
        for (var i = 0; i < 1_000; i++)
        {
            budget.CountCall(_time.GetTimestamp());
        }

        Assert.Equal(300, TakeAll(budget));
    }

    [Fact]
    [Trait("gRFC", "A32")]
    public void ConcurrencyLimit_Full_RefusesUntilOneLeaves()
    {
        var limit = new ConcurrencyLimit { Max = 2 };
        Assert.True(limit.TryEnter() && limit.TryEnter());
        Assert.False(limit.TryEnter());
        limit.Exit();
        Assert.True(limit.TryEnter());
        Assert.Equal(2, limit.InFlight);
    }

    private int TakeAll(RetryBudget budget)
    {
        var taken = 0;
        while (taken < 10_000 && budget.TryTake(_time.GetTimestamp()))
        {
            taken++;
        }

        return taken;
    }
}
