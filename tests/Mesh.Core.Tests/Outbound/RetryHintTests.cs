using System.Globalization;
using System.Net;
using Mesh.Resilience;
using Xunit;

namespace Mesh.Outbound;

public sealed class RetryHintTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    [Theory]
    [InlineData(503, "7", 7)]
    [InlineData(429, "0", 0)]
    [InlineData(503, "soon", null)]
    [InlineData(503, null, null)]
    [InlineData(500, "7", null)]
    [InlineData(200, "7", null)]
    public void Read_RetryAfterSeconds_OnlyWithStatusesThatMeanIt(int status, string? after, int? seconds) =>
        Assert.Equal(new RetryHint(seconds is { } s ? TimeSpan.FromSeconds(s) : null, false), Read(status, after));

    [Theory]
    [InlineData(9)]
    [InlineData(-9)]
    public void Read_RetryAfterDate_IsFromNowAndNeverNegative(int seconds) =>
        Assert.Equal(TimeSpan.FromSeconds(Math.Max(0, seconds)), Read(503, Now.AddSeconds(seconds).ToString("R", CultureInfo.InvariantCulture)).Delay);

    [Theory]
    [InlineData("250", 250, false)]
    [InlineData("0", 0, false)]
    [InlineData("-1", null, true)]
    [InlineData("1.5", null, true)]
    [InlineData("", null, true)]
    [InlineData("99999999999", null, true)]
    [Trait("gRFC", "A6")]
    public void Read_Pushback_NumberIsDelayEverythingElseIsNo(string pushback, int? milliseconds, bool never)
    {
        using var response = new HttpResponseMessage(HttpStatusCode.OK);
        response.TrailingHeaders.TryAddWithoutValidation(RetryHint.Pushback, pushback);

        Assert.Equal(
            new RetryHint(milliseconds is { } ms ? TimeSpan.FromMilliseconds(ms) : null, never),
            RetryHint.Read(response, new(AttemptEnd.Response, 200, 14), Now));
        Assert.Equal(default, RetryHint.Read(response, new(AttemptEnd.Response, 200, 0), Now));
    }

    [Theory]
    [InlineData(429, -1, 4, 4.0)]
    [InlineData(200, 8, 4, 4.0)]
    [InlineData(429, -1, 400, 30.0)]
    [InlineData(503, -1, 4, 4.0)]
    [InlineData(200, 14, 4, 4.0)]
    [InlineData(503, -1, null, null)]
    [InlineData(200, 14, null, null)]
    [InlineData(500, -1, 4, null)]
    public void Rest_OverloadOrAHint_IsAsLongAsAskedUpToTheCap(int http, int grpc, int? seconds, double? rest) =>
        Assert.Equal(
            rest,
            new RetryHint(seconds is { } s ? TimeSpan.FromSeconds(s) : null, false).Rest(new(AttemptEnd.Response, http, grpc), new Random(1))?.TotalSeconds);

    [Fact]
    public void Rest_OverloadWithoutAHint_IsAboutASecondAndNeverTheSame()
    {
        var random = new Random(1);
        var rests = Enumerable.Range(0, 20).Select(_ => default(RetryHint).Rest(new(AttemptEnd.Response, 429), random)!.Value.TotalSeconds).ToArray();
        Assert.All(rests, r => Assert.InRange(r, 0.5, 1.5));
        Assert.Equal(20, rests.Distinct().Count());
    }

    private static RetryHint Read(int status, string? after)
    {
        using var response = new HttpResponseMessage((HttpStatusCode)status);
        if (after is not null)
        {
            response.Headers.TryAddWithoutValidation("Retry-After", after);
        }

        return RetryHint.Read(response, new(AttemptEnd.Response, status), Now);
    }
}
