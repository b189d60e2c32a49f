using System.Net;
using Grpc.Core;
using Grpc.Net.Client;
using Mesh.Spiffe;
using Mesh.Testing;
using Xunit;

namespace Mesh.Server.Tests;

/// <summary>A deadline on its way through three services, over mTLS on real Kestrel.</summary>
public sealed class DeadlineTests : IAsyncLifetime
{
    private readonly TestCa _ca = new("cluster.local");
    private Hop _first = null!;
    private Hop _second = null!;
    private Hop _third = null!;
    private HttpClient _client = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _third = await Hop.StartAsync(_ca, null);
        _second = await Hop.StartAsync(_ca, _third);
        _first = await Hop.StartAsync(_ca, _second);
        _client = MeshApp.MeshClient(_ca.Identity("shop", "web"), SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/cart"), HttpVersion.Version20);
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _first.DisposeAsync();
        await _second.DisposeAsync();
        await _third.DisposeAsync();
        _ca.Dispose();
    }

    [Theory]
    [InlineData("request-timeout", "5.0")]
    [InlineData("x-envoy-expected-rq-timeout-ms", "5000")]
    public async Task Http_ThreeHopsInTime_EachHasLessThanTheOneBefore(string header, string value)
    {
        _first.Work = _ => _first.AskNextAsync();
        _second.Work = _ => _second.AskNextAsync();

        using var response = await GetAsync(header, value);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        AssertShrinking(5_000);
        Assert.Equal(0, _first.Exceeded + _second.Exceeded + _third.Exceeded);
    }

    [Fact]
    public async Task Http_LastOfThreeHopsHangs_AllEndAtTheDeadlineAndNoneStartsWithNothingLeft()
    {
        await WarmAsync();
        _first.Work = _ => _first.AskNextAsync();
        _second.Work = _ => _second.AskNextAsync();
        _third.Work = Hop.HangAsync;

        using var response = await GetAsync("request-timeout", "0.3");

        Assert.Equal(HttpStatusCode.GatewayTimeout, response.StatusCode);
        Assert.Equal("DeadlineExceeded", Assert.Single(response.Headers.GetValues("mesh-error")));
        AssertShrinking(300);
        await Eventually.Async(() => _first.Exceeded == 1 && _second.Exceeded + _second.Cancelled == 1 && _third.Exceeded + _third.Cancelled == 1, "every hop has ended");
    }

    [Fact]
    public async Task Grpc_LastOfThreeHopsHangs_AllEndAtTheDeadlineAndNoneStartsWithNothingLeft()
    {
        await WarmAsync();
        _first.Work = _ => _first.AskNextByGrpcAsync();
        _second.Work = _ => _second.AskNextByGrpcAsync();
        _third.Work = Hop.HangAsync;
        using var channel = GrpcChannel.ForAddress($"http://{_first.Address}", new GrpcChannelOptions { HttpClient = _client });

        var error = await Assert.ThrowsAsync<RpcException>(async () => await channel.CreateCallInvoker().AsyncUnaryCall(
            HopService.AskMethod, null, new CallOptions(deadline: DateTime.UtcNow.AddMilliseconds(300), cancellationToken: Token), "x"));

        Assert.Equal(StatusCode.DeadlineExceeded, error.StatusCode);
        AssertShrinking(300);
        await Eventually.Async(() => _third.Exceeded + _third.Cancelled == 1, "the work at the end is cancelled");
        // A hop whose own time had a moment left when the next one gave up has simply failed.
        Assert.InRange(_first.Exceeded + _first.Cancelled, 0, 1);
        Assert.InRange(_second.Exceeded + _second.Cancelled, 0, 1);
    }

    [Fact]
    public async Task Http_AppGoesOnAfterTheDeadline_ItsCallsAreNotMade()
    {
        await WarmAsync();
        var seen = new TaskCompletionSource<HttpRequestException>();
        _first.Work = async context =>
        {
            try
            {
                await Hop.HangAsync(context);
            }
            catch (OperationCanceledException)
            {
                seen.SetResult(await Assert.ThrowsAsync<HttpRequestException>(_first.AskNextAsync));
            }

            return "late";
        };

        using var response = await GetAsync("request-timeout", "0.05");

        Assert.Equal(HttpStatusCode.GatewayTimeout, (await seen.Task).StatusCode);
        Assert.Empty(_second.Left);
        // An answer that the app came to stands.
        Assert.Equal("late", await response.Content.ReadAsStringAsync(Token));
        Assert.Equal(1, _first.Exceeded);
    }

    [Theory]
    [InlineData("request-timeout", "0")]
    [InlineData("request-timeout", "0.0")]
    public async Task Http_NothingLeftOnArrival_IsAnsweredWithoutTheApp(string header, string value)
    {
        using var response = await GetAsync(header, value);

        Assert.Equal(HttpStatusCode.GatewayTimeout, response.StatusCode);
        Assert.Empty(_first.Left);
        Assert.Equal(1, _first.Exceeded);
    }

    [Fact]
    public async Task Grpc_NothingLeftOnArrival_IsDeadlineExceeded()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"http://{_first.Address}/test.Hop/Ask") { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact, Content = new ByteArrayContent([]) };
        request.Content.Headers.TryAddWithoutValidation("Content-Type", "application/grpc");
        request.Headers.TryAddWithoutValidation("grpc-timeout", "0n");

        using var response = await _client.SendAsync(request, Token);

        Assert.Equal("4", Assert.Single(response.Headers.GetValues("grpc-status")));
        Assert.Empty(_first.Left);
    }

    [Theory]
    [InlineData("request-timeout", "-1")]
    [InlineData("request-timeout", "1e-9")]
    [InlineData("request-timeout", "99999999999999999999999999999")]
    [InlineData("request-timeout", "0;drop=?1")]
    [InlineData("x-envoy-expected-rq-timeout-ms", "0")]
    [InlineData("x-envoy-expected-rq-timeout-ms", "-9223372036854775808")]
    [InlineData("x-envoy-expected-rq-timeout-ms", "999999999999999999")]
    [InlineData("grpc-timeout", "0n")]
    public async Task Http_HostileOrForeignValue_BoundsNothing(string header, string value)
    {
        using var response = await GetAsync(header, value);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Null(Assert.Single(_first.Left));
    }

    [Fact]
    public async Task Http_CallerLeaves_IsCancelledAndCounted()
    {
        _first.Work = Hop.HangAsync;
        using var gone = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var call = _client.GetAsync($"http://{_first.Address}/work", gone.Token);
        await Eventually.Async(() => _first.Left.Count == 1, "the app works");

        await gone.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        await Eventually.Async(() => _first.Cancelled == 1, "the request is counted");
        Assert.Equal(0, _first.Exceeded);
    }

    /// <summary>Connections are there, so that a short deadline is not spent on handshakes.</summary>
    private async Task WarmAsync()
    {
        _first.Work = _ => _first.AskNextAsync();
        _second.Work = _ => _second.AskNextAsync();
        using var response = await GetAsync(null, null);
        Assert.Equal("ok", await response.Content.ReadAsStringAsync(Token));
        _second.Work = _ => _second.AskNextByGrpcAsync();
        Assert.Equal("ok", await _first.AskNextByGrpcAsync());
        foreach (var hop in new[] { _first, _second, _third })
        {
            hop.Forget();
        }
    }

    private async Task<HttpResponseMessage> GetAsync(string? header, string? value)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://{_first.Address}/work") { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        if (header is not null)
        {
            request.Headers.TryAddWithoutValidation(header, value);
        }

        return await _client.SendAsync(request, Token);
    }

    private void AssertShrinking(int milliseconds)
    {
        var left = new[] { _first, _second, _third }.Select(h => Assert.Single(h.Left)!.Value.TotalMilliseconds).ToArray();
        Assert.True(milliseconds >= left[0] && left[0] > left[1] && left[1] > left[2] && left[2] > 0, string.Join(" > ", left));
    }
}
