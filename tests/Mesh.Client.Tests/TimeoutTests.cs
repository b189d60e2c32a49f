using System.Net;
using Grpc.Core;
using Mesh.Resilience;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace Mesh.Client.Tests;

/// <summary>Response headers, idle streams, attempts: each limit over each protocol.</summary>
public sealed class TimeoutTests : IAsyncLifetime
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(5);
    private readonly FailureLab _lab = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _lab.DisposeAsync();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Post_NoHeadersInTime_Is504AndNotRetried(bool http2)
    {
        await _lab.AddAsync(http2, Hang);
        _lab.Serve(FailureLab.Route with { ResponseHeadersTimeout = Limit });
        using var content = new StringContent("x");
        var call = _lab.Client.PostAsync("http://catalog/", content, Cancel);
        await Eventually.Async(() => _lab.Requests == 1, "the request arrived");

        await _lab.AdvanceUntilAsync(call);

        using var response = await call;
        Assert.Equal((HttpStatusCode.GatewayTimeout, "TimedOut"), (response.StatusCode, response.Headers.GetValues("mesh-error").Single()));
        Assert.Equal((1, 1L), (_lab.Requests, _lab.Decided(Decisions.Timeout, "headers")));
        await _lab.IdleAsync();
    }

    [Fact]
    public async Task Get_NoHeadersInTime_IsRetriedAsATimeoutIs()
    {
        var hung = 0;
        await _lab.AddAsync(true, context => Interlocked.Exchange(ref hung, 1) == 0 ? Hang(context) : Task.CompletedTask);
        _lab.Serve(FailureLab.Route with { ResponseHeadersTimeout = Limit, Retry = RetryDecider.Default with { BaseInterval = TimeSpan.Zero, MaxInterval = TimeSpan.Zero } });
        var call = _lab.Client.GetAsync("http://catalog/", Cancel);
        await Eventually.Async(() => _lab.Requests == 1, "the request arrived");

        _lab.Time.Advance(Limit);

        Assert.Equal(HttpStatusCode.OK, (await call).StatusCode);
        Assert.Equal((1L, 1L), (_lab.Decided(Decisions.Timeout, "headers"), _lab.Decided(Decisions.Retry, "timeout")));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Post_SlowUpload_TimeToHeadersBeginsAtItsEnd(bool http2)
    {
        await _lab.AddAsync(http2, async context =>
        {
            await context.Request.Body.CopyToAsync(Stream.Null);
            await Hang(context);
        });
        _lab.Serve(FailureLab.Route with { ResponseHeadersTimeout = Limit });
        using var content = new GatedContent();
        var call = _lab.Client.PostAsync("http://catalog/", content, Cancel);
        await Eventually.Async(() => _lab.Requests == 1, "the request arrived");
        _lab.Time.Advance(Limit * 3);
        Assert.False(call.IsCompleted);
        content.Release();

        await _lab.AdvanceUntilAsync(call);

        Assert.Equal(HttpStatusCode.GatewayTimeout, (await call).StatusCode);
        Assert.Same(content, (await call).RequestMessage!.Content);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Get_ResponseDribbles_IdleTimeBeginsAnewWithEachByte(bool http2)
    {
        using var next = new SemaphoreSlim(0);
        await _lab.AddAsync(http2, async context =>
        {
            while (true)
            {
                await next.WaitAsync(context.RequestAborted);
                await context.Response.WriteAsync("x");
                await context.Response.Body.FlushAsync();
            }
        });
        _lab.Serve(FailureLab.Route with { IdleTimeout = Limit });
        next.Release();
        using var response = await _lab.Client.GetAsync("http://catalog/", HttpCompletionOption.ResponseHeadersRead, Cancel);
        await using var body = await response.Content.ReadAsStreamAsync(Cancel);
        for (var i = 0; i < 5; i++)
        {
            Assert.Equal(1, await body.ReadAsync(new byte[1], Cancel));
            _lab.Time.Advance(Limit - TimeSpan.FromSeconds(1));
            next.Release();
        }

        Assert.Equal(1, await body.ReadAsync(new byte[1], Cancel));
        var read = body.ReadAsync(new byte[1], Cancel);
        _lab.Time.Advance(Limit);

        await Assert.ThrowsAnyAsync<IOException>(async () => await read);
        Assert.Equal(1, _lab.Decided(Decisions.Timeout, "idle"));
        Assert.Equal(1, _lab.Program.Count(MeshTags.ClientCallDuration, (MeshTags.Outcome, MeshTags.Failure)));
        await _lab.IdleAsync();
    }

    [Fact]
    public async Task Post_UploadMoves_IsNotIdle()
    {
        await _lab.AddAsync(true, context => context.Request.Body.CopyToAsync(Stream.Null));
        _lab.Serve(FailureLab.Route with { IdleTimeout = Limit });
        using var content = new GatedContent();
        var call = _lab.Client.PostAsync("http://catalog/", content, Cancel);
        for (var i = 0; i < 5; i++)
        {
            await content.WriteAsync();
            _lab.Time.Advance(Limit - TimeSpan.FromSeconds(1));
        }

        content.Release();

        Assert.Equal(HttpStatusCode.OK, (await call).StatusCode);
    }

    [Fact]
    public async Task GrpcBidi_Idle_EndsTheStreamAndTrafficKeepsIt()
    {
        await _lab.AddAsync(true);
        _lab.Serve(FailureLab.Route with { IdleTimeout = Limit });
        using var channel = _lab.Channel();
        using var call = channel.CreateCallInvoker().AsyncDuplexStreamingCall(EchoService.BidiMethod, null, new CallOptions(cancellationToken: Cancel));
        for (var i = 0; i < 4; i++)
        {
            await call.RequestStream.WriteAsync($"m{i}", Cancel);
            Assert.True(await call.ResponseStream.MoveNext(Cancel));
            _lab.Time.Advance(Limit - TimeSpan.FromSeconds(1));
        }

        var next = call.ResponseStream.MoveNext(Cancel);
        _lab.Time.Advance(Limit);

        await Assert.ThrowsAsync<RpcException>(() => next);
        Assert.Equal(1, _lab.Decided(Decisions.Timeout, "idle"));
        await _lab.IdleAsync();
    }

    [Fact]
    public async Task GrpcUnary_NoHeadersInTime_IsDeadlineExceeded()
    {
        var backend = await _lab.AddAsync(true);
        var arrived = new TaskCompletionSource();
        backend.Intercept = async context =>
        {
            await context.Request.Body.CopyToAsync(Stream.Null);
            arrived.TrySetResult();
            await Hang(context);
            return true;
        };
        _lab.Serve(FailureLab.Route with { ResponseHeadersTimeout = Limit });
        using var channel = _lab.Channel();
        var call = channel.CreateCallInvoker().AsyncUnaryCall(EchoService.UnaryMethod, null, new CallOptions(cancellationToken: Cancel), "hello").ResponseAsync;
        await arrived.Task;

        await _lab.AdvanceUntilAsync(call);

        Assert.Equal(StatusCode.DeadlineExceeded, (await Assert.ThrowsAsync<RpcException>(() => call)).StatusCode);
    }

    [Fact]
    public async Task Get_AttemptAndRequestTimeouts_AreToldApart()
    {
        await _lab.AddAsync(true, Hang);
        _lab.Serve(FailureLab.Route with
        {
            Timeout = Limit * 10,
            Retry = RetryDecider.Default with { NumRetries = 1, PerTryTimeout = Limit, BaseInterval = TimeSpan.Zero, MaxInterval = TimeSpan.Zero },
        });
        var call = _lab.Client.GetAsync("http://catalog/", Cancel);
        for (var i = 1; i <= 2; i++)
        {
            await Eventually.Async(() => _lab.Requests == i, "the attempt arrived");
            _lab.Time.Advance(Limit);
        }

        Assert.Equal(HttpStatusCode.GatewayTimeout, (await call).StatusCode);
        Assert.Equal((2L, 1L, 0L), (_lab.Decided(Decisions.Timeout, "attempt"), _lab.Decided(Decisions.Retry, "timeout"), _lab.Decided(Decisions.Timeout, "request")));
        await _lab.IdleAsync();
    }

    private static Task Hang(HttpContext context) => new TaskCompletionSource().Task.WaitAsync(context.RequestAborted);

    /// <summary>A body that is written as far as the test says.</summary>
    private sealed class GatedContent : HttpContent
    {
        private readonly TaskCompletionSource<Stream> _stream = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _release = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public async Task WriteAsync()
        {
            var stream = await _stream.Task;
            await stream.WriteAsync("x"u8.ToArray(), Cancel);
            await stream.FlushAsync(Cancel);
        }

        public void Release() => _release.TrySetResult();

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            await stream.WriteAsync("begin"u8.ToArray(), Cancel);
            await stream.FlushAsync(Cancel);
            _stream.TrySetResult(stream);
            await _release.Task;
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
