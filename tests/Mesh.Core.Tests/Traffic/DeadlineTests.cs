using System.Globalization;
using Mesh.Outbound;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Traffic;

public sealed class DeadlineTests
{
    private readonly FakeTimeProvider _time = new();

    [Theory]
    [InlineData("1H", 3_600_000)]
    [InlineData("2M", 120_000)]
    [InlineData("3S", 3_000)]
    [InlineData("300m", 300)]
    [InlineData("1500u", 1.5)]
    [InlineData("1000000n", 1)]
    [InlineData("1n", 0.0001)]
    [InlineData("0n", 0)]
    [InlineData("0S", 0)]
    [InlineData("00000300m", 300)]
    [InlineData("24H", 86_400_000)]
    public void ParseGrpc_ValidValue_IsItsTime(string value, double milliseconds)
    {
        Assert.True(DeadlineHeaders.TryParseGrpc(value, out var timeout));
        Assert.Equal(TimeSpan.FromMilliseconds(milliseconds), timeout);
    }

    [Theory]
    [InlineData("")]
    [InlineData("m")]
    [InlineData("1")]
    [InlineData("000000300m")]
    [InlineData("99999999H")]
    [InlineData("25H")]
    [InlineData("1s")]
    [InlineData("1h")]
    [InlineData("-1m")]
    [InlineData("+1m")]
    [InlineData(" 1m")]
    [InlineData("1 m")]
    [InlineData("1.5S")]
    [InlineData("1m,2m")]
    [InlineData("١m")]
    public void ParseGrpc_MalformedOrBeyondADay_IsRefused(string value) => Assert.False(DeadlineHeaders.TryParseGrpc(value, out _));

    [Theory]
    [InlineData("1", 1)]
    [InlineData("300", 300)]
    [InlineData("86400000", 86_400_000)]
    public void ParseEnvoy_ValidValue_IsItsTime(string value, double milliseconds)
    {
        Assert.True(DeadlineHeaders.TryParseEnvoy(value, out var timeout));
        Assert.Equal(TimeSpan.FromMilliseconds(milliseconds), timeout);
    }

    [Theory]
    [InlineData("")]
    [InlineData("0")]
    [InlineData("-1")]
    [InlineData("1.5")]
    [InlineData("0x10")]
    [InlineData("86400001")]
    [InlineData("999999999999")]
    [InlineData("999999999999999")]
    [InlineData("99999999999999999999999999")]
    [InlineData("300ms")]
    public void ParseEnvoy_MalformedOrBeyondADay_IsRefused(string value) => Assert.False(DeadlineHeaders.TryParseEnvoy(value, out _));

    [Theory]
    [InlineData("1", 1_000)]
    [InlineData("1.5", 1_500)]
    [InlineData("0.25", 250)]
    [InlineData("0.001", 1)]
    [InlineData("0", 0)]
    [InlineData(" 2 ", 2_000)]
    [InlineData("86400", 86_400_000)]
    public void ParseHttp_ValidValue_IsItsTime(string value, double milliseconds)
    {
        Assert.True(DeadlineHeaders.TryParseHttp(value, out var timeout));
        Assert.Equal(TimeSpan.FromMilliseconds(milliseconds), timeout);
    }

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData(".5")]
    [InlineData("1.")]
    [InlineData("1.2345")]
    [InlineData("1.-5")]
    [InlineData("1e3")]
    [InlineData("-1")]
    [InlineData("1;a=b")]
    [InlineData("\"1\"")]
    [InlineData("86400.001")]
    [InlineData("999999999999999")]
    [InlineData("9999999999999999999999")]
    [InlineData("NaN")]
    public void ParseHttp_MalformedOrBeyondADay_IsRefused(string value) => Assert.False(DeadlineHeaders.TryParseHttp(value, out _));

    [Theory]
    [InlineData("00:00:00.0000001", "1u", "1", "0.001")]
    [InlineData("00:00:00.0009999", "999u", "1", "0.001")]
    [InlineData("00:00:00.2999999", "299m", "299", "0.299")]
    [InlineData("00:00:12.0340000", "12034m", "12034", "12.034")]
    [InlineData("1.00:00:00", "86400000m", "86400000", "86400.000")]
    public void Format_AnyTimeLeft_IsRoundedDownAndParsesAgain(string left, string grpc, string envoy, string http)
    {
        var time = TimeSpan.Parse(left, CultureInfo.InvariantCulture);

        Assert.Equal((grpc, envoy, http), (DeadlineHeaders.FormatGrpc(time), DeadlineHeaders.FormatEnvoy(time), DeadlineHeaders.FormatHttp(time)));
        Assert.True(DeadlineHeaders.TryParseGrpc(grpc, out _) && DeadlineHeaders.TryParseEnvoy(envoy, out _) && DeadlineHeaders.TryParseHttp(http, out _));
    }

    [Fact]
    public void Bind_DeadlineComes_CancelsAndTellsItFromTheCaller()
    {
        using var caller = new CancellationTokenSource();
        using var bound = new Deadline(_time, _time.GetTimestamp(), TimeSpan.FromMilliseconds(300)).Bind(caller.Token);
        _time.Advance(TimeSpan.FromMilliseconds(299));
        Assert.False(bound.Token.IsCancellationRequested || bound.HasExpired);

        _time.Advance(TimeSpan.FromMilliseconds(1));

        Assert.True(bound.Token.IsCancellationRequested && bound.HasExpired);
    }

    [Fact]
    public void Bind_CallerGivesUp_CancelsAndHasNotExpired()
    {
        using var caller = new CancellationTokenSource();
        using var bound = new Deadline(_time, _time.GetTimestamp(), TimeSpan.FromMilliseconds(300)).Bind(caller.Token);

        caller.Cancel();

        Assert.True(bound.Token.IsCancellationRequested);
        Assert.False(bound.HasExpired);
    }

    [Fact]
    public void SendOn_NothingLeft_IsRefusedAndWritesNothing()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "http://catalog/");

        Assert.False(OutboundDeadline.TrySendOn(new Deadline(_time, _time.GetTimestamp(), TimeSpan.Zero), request, grpc: false));
        Assert.Empty(request.Headers);
    }

    [Theory]
    [InlineData("100m", "100m")]
    [InlineData("1S", "300m")]
    [InlineData("garbage", "300m")]
    [InlineData(null, "300m")]
    public void SendOn_GrpcAppAsksForItself_TheShorterGoesOut(string? own, string sent)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "http://cart/");
        if (own is not null)
        {
            request.Headers.TryAddWithoutValidation("grpc-timeout", own);
        }

        Assert.True(OutboundDeadline.TrySendOn(new Deadline(_time, _time.GetTimestamp(), TimeSpan.FromMilliseconds(300)), request, grpc: true));

        Assert.Equal(sent, Assert.Single(Assert.Single(request.Headers).Value));
    }

    [Fact]
    public void SendOn_AnotherAttemptLater_WritesWhatIsLeftThen()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "http://catalog/");
        var deadline = new Deadline(_time, _time.GetTimestamp(), TimeSpan.FromMilliseconds(300));
        OutboundDeadline.TrySendOn(deadline, request, grpc: false);
        _time.Advance(TimeSpan.FromMilliseconds(100));

        OutboundDeadline.TrySendOn(deadline, request, grpc: false);

        Assert.Equal("200", Assert.Single(request.Headers.GetValues("x-envoy-expected-rq-timeout-ms")));
        Assert.Equal("0.200", Assert.Single(request.Headers.GetValues("request-timeout")));
    }
}
