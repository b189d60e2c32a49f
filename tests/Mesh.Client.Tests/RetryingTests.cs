using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Net;
using System.Text;
using Grpc.Core;
using Mesh.Config;
using Mesh.Resilience;
using Mesh.Telemetry;
using Mesh.Traffic;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using Xunit;

namespace Mesh.Client.Tests;

/// <summary>What is tried again, when, and what is told of it.</summary>
public sealed class RetryingTests : IAsyncLifetime
{
    private static readonly RetryPolicy Soon = RetryDecider.Default with { BaseInterval = TimeSpan.Zero, MaxInterval = TimeSpan.Zero };
    private readonly FailureLab _lab = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _lab.DisposeAsync();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Get_RetryAfterSeconds_IsTheBackoff(bool http2)
    {
        await FailFirstAsync(http2, context => context.Response.Headers.RetryAfter = "3");
        _lab.Serve(FailureLab.Route);
        var call = _lab.Client.GetAsync("http://catalog/", Cancel);
        await _lab.TimerAsync(TimeSpan.FromSeconds(3));
        _lab.Time.Advance(TimeSpan.FromSeconds(2.9));
        Assert.Equal(1, _lab.Requests);

        _lab.Time.Advance(TimeSpan.FromSeconds(0.1));

        Assert.Equal(HttpStatusCode.OK, (await call).StatusCode);
        Assert.Equal(1, _lab.Decided(Decisions.Retry, "503"));
    }

    [Fact]
    public async Task Get_RetryAfterDate_IsTheBackoff()
    {
        var when = _lab.Time.GetUtcNow().AddSeconds(7);
        await FailFirstAsync(http2: true, context => context.Response.Headers.RetryAfter = when.ToString("R", CultureInfo.InvariantCulture));
        _lab.Serve(FailureLab.Route);
        var call = _lab.Client.GetAsync("http://catalog/", Cancel);
        await _lab.TimerAsync(TimeSpan.FromSeconds(7));

        _lab.Time.Advance(TimeSpan.FromSeconds(7));

        Assert.Equal(HttpStatusCode.OK, (await call).StatusCode);
    }

    [Theory]
    [InlineData(5)]
    [InlineData(null)]
    public async Task Get_RetryAfterBeyondTheDeadline_IsNotMade(int? deadlineSeconds)
    {
        await FailFirstAsync(http2: true, context => context.Response.Headers.RetryAfter = "60");
        _lab.Serve(FailureLab.Route with { Timeout = deadlineSeconds is { } s ? TimeSpan.FromSeconds(s) : null });

        using var response = await _lab.Client.GetAsync("http://catalog/", Cancel);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Equal(1, _lab.Decided(Decisions.RetrySuppressed, "deadline"));
        Assert.Equal(1, _lab.Requests);
    }

    [Fact]
    public async Task Get_BudgetIsEmpty_IsNotRetriedAndTold()
    {
        await _lab.AddAsync(true, context => Status(context, 503));
        _lab.Serve(FailureLab.Route with { Retry = Soon }, c => c with { RetryBudget = new RetryBudgetSize(0, 0) });

        using var response = await _lab.Client.GetAsync("http://catalog/", Cancel);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Equal((1, 1L, 0L), (_lab.Requests, _lab.Decided(Decisions.RetrySuppressed, "budget"), _lab.Decided(Decisions.Retry)));
    }

    [Fact]
    public async Task Put_BodyLongerThanIsKept_IsNotRetriedAndTold()
    {
        await _lab.AddAsync(true, async context =>
        {
            await context.Request.Body.CopyToAsync(Stream.Null);
            context.Response.StatusCode = 503;
        });
        _lab.Serve(FailureLab.Route with { Retry = Soon });
        using var content = new StreamContent(new MemoryStream(new byte[70_000]));

        using var response = await _lab.Client.PutAsync("http://catalog/", content, Cancel);

        Assert.Equal((1, 1L), (_lab.Requests, _lab.Decided(Decisions.RetrySuppressed, "body")));
    }

    /// <summary>As on a busy machine: the last bytes are out, the server has answered, and the call has not had its turn to know that they are.</summary>
    [Theory]
    [InlineData(true, false)]
    [InlineData(false, false)]
    [InlineData(true, true)]
    [InlineData(false, true)]
    public async Task Put_AnswerOvertakesTheBodysEnd_IsRetriedWhereItEndsSoon(bool soon, bool hedged)
    {
        var bodies = new ConcurrentQueue<string>();
        await _lab.AddAsync(true, async context =>
        {
            var read = await context.Request.BodyReader.ReadAtLeastAsync(9, Cancel);
            bodies.Enqueue(Encoding.UTF8.GetString(read.Buffer));
            context.Request.BodyReader.AdvanceTo(read.Buffer.End);
            context.Response.StatusCode = bodies.Count == 1 ? 503 : 200;
        });
        _lab.Serve(FailureLab.Route with { Retry = Soon, Hedging = hedged ? new Hedging(0, TimeSpan.FromHours(1), 2) : null });
        using var content = new OpenContent("all of it", stays: true);

        var call = _lab.Client.PutAsync("http://catalog/", content, Cancel);
        var patience = TimeSpan.FromMilliseconds(100);
        await _lab.TimerAsync(patience);
        if (soon)
        {
            content.End();
        }
        else
        {
            _lab.Time.Advance(patience);
        }

        using var response = await call;
        Assert.Equal(soon ? HttpStatusCode.OK : HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Equal(soon ? ["all of it", "all of it"] : ["all of it"], bodies);
        Assert.Equal(soon ? 0 : 1, _lab.Decided(Decisions.RetrySuppressed, "body"));
        if (!soon)
        {
            content.End();
        }
    }

    [Theory]
    [InlineData("x-again: yes", null, 2)]
    [InlineData("x-again: no", null, 1)]
    [InlineData("x-again: yes", "x-safe", 1)]
    public async Task Get_RetriableHeaders_DecideByResponseAndRequest(string header, string? requestHeader, int requests)
    {
        await _lab.AddAsync(true, context =>
        {
            context.Response.Headers.Append(header.Split(": ")[0], header.Split(": ")[1]);
            return Task.CompletedTask;
        });
        var retry = Soon with { On = RetryOn.RetriableHeaders, NumRetries = 1, RetriableHeaders = [new HeaderMatcher("x-again", HeaderMatchKind.Text, new StringMatcher(StringMatchKind.Exact, "yes"))] };
        _lab.Serve(FailureLab.Route with { Retry = requestHeader is null ? retry : retry with { RetriableRequestHeaders = [new HeaderMatcher(requestHeader, HeaderMatchKind.Present)] } });

        using var response = await _lab.Client.GetAsync("http://catalog/", Cancel);

        Assert.Equal(requests, _lab.Requests);
    }

    [Theory]
    [InlineData(429, null)]
    [InlineData(429, "20")]
    public async Task Get_429_SteersTrafficAway(int status, string? retryAfter)
    {
        await FailFirstAsync(true, context => context.Response.Headers.RetryAfter = retryAfter, status);
        await _lab.AddAsync(true);
        _lab.Serve(FailureLab.Route, c => c with { LoadBalancing = LoadBalancing.RoundRobin });
        var now = _lab.Time.GetTimestamp();
        while (_lab.Backends[0].Requests == 0)
        {
            using var response = await _lab.Client.GetAsync("http://catalog/", Cancel);
        }

        var steered = _lab.Live.Balancer.Endpoints.Single(e => e.Config.Port == _lab.Backends[0].Port);

        var rest = _lab.Time.GetElapsedTime(now, steered.SteeredUntil).TotalSeconds;
        Assert.InRange(rest, retryAfter is null ? 0.5 : 20, retryAfter is null ? 1.5 : 20);
        Assert.Equal(1, _lab.Decided(Decisions.Eject, "overloaded"));
        for (var i = 0; i < 10; i++)
        {
            using var response = await _lab.Client.GetAsync("http://catalog/", Cancel);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }

        Assert.Equal(1, _lab.Backends[0].Requests);
    }

    [Fact]
    [Trait("gRFC", "A6")]
    public async Task Grpc_Pushback_IsTheBackoffAndTheServerSeesTheAttempt()
    {
        var seen = new List<string>();
        await GrpcFailFirstAsync("1500", seen);
        _lab.Serve(FailureLab.Route with { Retry = Soon with { On = RetryOn.GrpcUnavailable } });
        using var channel = _lab.Channel();
        using var waited = new MetricCollector<double>(_lab.Program.Services.GetRequiredService<IMeterFactory>(), "Mesh", GrpcTags.ClientCallRetryDelay);
        var call = channel.CreateCallInvoker().AsyncUnaryCall(EchoService.UnaryMethod, null, new CallOptions(cancellationToken: Cancel), "hello").ResponseAsync;
        await _lab.TimerAsync(TimeSpan.FromMilliseconds(1500));

        _lab.Time.Advance(TimeSpan.FromMilliseconds(1500));

        Assert.Equal("hello", await call);
        Assert.Equal(["", "1"], seen);
        Assert.Equal(1, _lab.Decided(Decisions.Retry, "grpc_14"));
        Assert.Equal([1.5], waited.GetMeasurementSnapshot().Select(m => m.Value));
    }

    [Theory]
    [InlineData("-1")]
    [InlineData("soon")]
    [Trait("gRFC", "A6")]
    public async Task Grpc_PushbackSaysNo_IsNotRetried(string pushback)
    {
        var seen = new List<string>();
        await GrpcFailFirstAsync(pushback, seen);
        _lab.Serve(FailureLab.Route with { Retry = Soon with { On = RetryOn.GrpcUnavailable } });
        using var channel = _lab.Channel();

        var error = await Assert.ThrowsAsync<RpcException>(async () =>
            await channel.CreateCallInvoker().AsyncUnaryCall(EchoService.UnaryMethod, null, new CallOptions(cancellationToken: Cancel), "hello"));

        Assert.Equal((StatusCode.Unavailable, 1, 1L), (error.StatusCode, seen.Count, _lab.Decided(Decisions.RetrySuppressed, "pushback")));
    }

    [Fact]
    public async Task GrpcStreaming_AnsweredUnavailable_IsRetriedWithWhatWasSent()
    {
        var seen = new List<string>();
        await GrpcFailFirstAsync(null, seen);
        _lab.Serve(FailureLab.Route with { Retry = Soon with { On = RetryOn.GrpcUnavailable } });
        using var channel = _lab.Channel();
        using var call = channel.CreateCallInvoker().AsyncServerStreamingCall(EchoService.ServerMethod, null, new CallOptions(cancellationToken: Cancel), "x");
        var received = new List<string>();

        await foreach (var text in call.ResponseStream.ReadAllAsync(Cancel))
        {
            received.Add(text);
        }

        Assert.Equal(["x0", "x1", "x2"], received);
        Assert.Equal(2, seen.Count);
    }

    [Fact]
    public async Task Send_AppAllowsLess_NarrowsRetriesAndRequests()
    {
        await _lab.AddAsync(true, context => Status(context, 503));
        _lab.Serve(FailureLab.Route with { Retry = Soon with { NumRetries = 4 } });
        using var own = new HttpMessageInvoker(new SocketsHttpHandler());

        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await SendAsync(new CallLimits(null, null, 1), own)).StatusCode);
        Assert.Equal(2, _lab.Requests);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await SendAsync(new CallLimits(null, null, 0), own)).StatusCode);
        Assert.Equal(3, _lab.Requests);
        using var refused = await SendAsync(new CallLimits(null, null, null) { MaxRequests = 0 }, own);
        Assert.Equal((3, 1L), (_lab.Requests, _lab.Decided(Decisions.Shed, "max_requests")));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await SendAsync(null, own)).StatusCode);
        Assert.Equal(8, _lab.Requests);
    }

    [Fact]
    public async Task Send_AppAllowsLessTime_TimesOutEarlier()
    {
        await _lab.AddAsync(true, context => new TaskCompletionSource().Task.WaitAsync(context.RequestAborted));
        _lab.Serve(FailureLab.Route with { Timeout = TimeSpan.FromMinutes(1) });
        using var own = new HttpMessageInvoker(new SocketsHttpHandler());
        var call = SendAsync(new CallLimits(TimeSpan.FromSeconds(3), null, null), own);
        await Eventually(1);

        _lab.Time.Advance(TimeSpan.FromSeconds(3));

        Assert.Equal(HttpStatusCode.GatewayTimeout, (await call).StatusCode);
        Assert.Equal(1, _lab.Decided(Decisions.Timeout, "request"));
        await _lab.IdleAsync();
    }

    private Task Eventually(int requests) => Testing.Eventually.Async(() => _lab.Requests == requests, "the request arrived");

    private async Task<HttpResponseMessage> SendAsync(CallLimits? limits, HttpMessageInvoker own)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "http://catalog/");
        return await _lab.Pipeline.SendAsync(request, own, limits, Cancel);
    }

    private static Task Status(HttpContext context, int status)
    {
        context.Response.StatusCode = status;
        return Task.CompletedTask;
    }

    private Task<Backend> FailFirstAsync(bool http2, Action<HttpContext> how, int status = 503)
    {
        var answered = 0;
        return _lab.AddAsync(http2, context =>
        {
            if (Interlocked.Increment(ref answered) == 1)
            {
                context.Response.StatusCode = status;
                how(context);
            }

            return Task.CompletedTask;
        });
    }

    private async Task GrpcFailFirstAsync(string? pushback, List<string> seen)
    {
        var backend = await _lab.AddAsync(true);
        backend.Intercept = async context =>
        {
            seen.Add(context.Request.Headers["grpc-previous-rpc-attempts"].ToString());
            if (seen.Count > 1)
            {
                return false;
            }

            // A body that is still being sent can't be sent again.
            await context.Request.Body.CopyToAsync(Stream.Null);

            context.Response.ContentType = "application/grpc";
            context.Response.Headers["grpc-status"] = "14";
            if (pushback is not null)
            {
                context.Response.Headers["grpc-retry-pushback-ms"] = pushback;
            }

            return true;
        };
    }
}
