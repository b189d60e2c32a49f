using System.Net;
using System.Text;
using Grpc.Core;
using Mesh.Config;
using Mesh.Resilience;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace Mesh.Client.Tests;

/// <summary>Attempts beside each other: when, of what, and what is left of the loser.</summary>
public sealed class HedgingTests : IAsyncLifetime
{
    private static readonly TimeSpan Delay = TimeSpan.FromMilliseconds(200);
    private readonly FailureLab _lab = new();
    private int _hung;
    private int _aborted;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private static RouteAction.Forward Route => FailureLab.Route with { Hedging = new Hedging(0, Delay, 2) };

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _lab.DisposeAsync();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Get_FirstIsSlow_TheSecondElsewhereWinsAndTheLoserIsGone(bool http2)
    {
        await StartTwoAsync(http2);
        _lab.Serve(Route);
        using var request = new HttpRequestMessage(HttpMethod.Get, "http://catalog/a?b=c") { Headers = { { "x-own", "1" } } };
        var call = _lab.Client.SendAsync(request, Cancel);
        await _lab.TimerAsync(Delay);
        await Eventually.Async(() => _lab.Requests == 1, "the first is under way");
        Assert.Equal(0, _lab.Decided(Decisions.Hedge));

        _lab.Time.Advance(Delay);

        using var response = await call;
        Assert.Equal("/a?b=c 1", await response.Content.ReadAsStringAsync(Cancel));
        Assert.Same(request, response.RequestMessage);
        Assert.Equal((1, 1), (_lab.Backends[0].Requests, _lab.Backends[1].Requests));
        Assert.Equal(1, _lab.Decided(Decisions.Hedge, "delay"));
        await Eventually.Async(() => Volatile.Read(ref _aborted) == 1, "the loser's server noticed");
        await _lab.IdleAsync();
        Assert.Equal(0, _lab.Decided(Decisions.Timeout));
        Assert.Equal(0, _lab.Program.Count(MeshTags.ClientAttemptDuration, (MeshTags.Outcome, MeshTags.Failure)));
        Assert.Equal(1, _lab.Program.Count(MeshTags.ClientCallDuration, (MeshTags.Outcome, MeshTags.Success)));
    }

    [Fact]
    public async Task Get_AnswersInTime_IsOneAttempt()
    {
        await _lab.AddAsync(true, Echo);
        _lab.Serve(Route);

        Assert.Equal("/ ", await _lab.Client.GetStringAsync("http://catalog/", Cancel));

        _lab.Time.Advance(Delay * 2);
        Assert.Equal((1, 0L), (_lab.Requests, _lab.Decided(Decisions.Hedge)));
        await _lab.IdleAsync();
    }

    [Fact]
    public async Task Get_FirstFails_TheNextBeginsAtOnceAndIsARetry()
    {
        var answered = 0;
        Task Handler(HttpContext context)
        {
            context.Response.StatusCode = Interlocked.Increment(ref answered) == 1 ? 503 : 200;
            return Task.CompletedTask;
        }

        await _lab.AddAsync(true, Handler);
        await _lab.AddAsync(true, Handler);
        _lab.Serve(Route);

        using var response = await _lab.Client.GetAsync("http://catalog/", Cancel);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal((1, 1), (_lab.Backends[0].Requests, _lab.Backends[1].Requests));
        Assert.Equal((1L, 0L), (_lab.Decided(Decisions.Retry, "503"), _lab.Decided(Decisions.Hedge)));
    }

    [Fact]
    public async Task Get_AllFail_IsTheAnswerOfOneAndNoMoreThanAllowed()
    {
        await _lab.AddAsync(true, context =>
        {
            context.Response.StatusCode = 503;
            return Task.CompletedTask;
        });
        _lab.Serve(Route);

        using var response = await _lab.Client.GetAsync("http://catalog/", Cancel);

        Assert.Equal((HttpStatusCode.ServiceUnavailable, 2), (response.StatusCode, _lab.Requests));
        await _lab.IdleAsync();
    }

    [Fact]
    public async Task Post_IsNeverHedged()
    {
        await StartTwoAsync(true);
        _lab.Serve(Route);
        using var content = new StringContent("x");
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var call = _lab.Client.PostAsync("http://catalog/", content, cancel.Token);
        await Eventually.Async(() => _lab.Requests == 1, "the first is under way");

        _lab.Time.Advance(Delay * 10);

        Assert.Equal(1, _lab.Requests);
        Assert.DoesNotContain(Delay, _lab.Time.Timers);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        await _lab.IdleAsync();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Put_BodyIsKept_BothGetAllOfIt(bool repeats)
    {
        var bodies = new List<string>();
        await StartTwoAsync(true, async context =>
        {
            using var reader = new StreamReader(context.Request.Body);
            var body = await reader.ReadToEndAsync();
            lock (bodies)
            {
                bodies.Add(body);
            }
        });
        _lab.Serve(Route);
        using HttpContent content = repeats ? new StringContent("all of it") : new StreamContent(new MemoryStream(Encoding.UTF8.GetBytes("all of it")));
        var call = _lab.Client.PutAsync("http://catalog/", content, Cancel);
        await Eventually.Async(() => bodies.Count == 1, "the first has the body");

        _lab.Time.Advance(Delay);

        using var response = await call;
        Assert.Equal(["all of it", "all of it"], bodies);
        Assert.Same(content, response.RequestMessage!.Content);
    }

    /// <summary>As of a gRPC call on a busy machine: it was never hedged when its body came later than the hedge.</summary>
    [Fact]
    public async Task Put_BodyNotWhollySentWhenAHedgeIsDue_IsHedgedWhenItIs()
    {
        await StartTwoAsync(true);
        _lab.Serve(Route);
        using var content = new OpenContent("begin");
        var call = _lab.Client.PutAsync("http://catalog/", content, Cancel);
        await Eventually.Async(() => _lab.Requests == 1, "the first is under way");
        _lab.Time.Advance(Delay * 10);
        Assert.Equal((1, 0L), (_lab.Requests, _lab.Decided(Decisions.Hedge)));

        content.End();

        using var response = await call;
        Assert.Equal((2, 1L, 0L), (_lab.Requests, _lab.Decided(Decisions.Hedge, "delay"), _lab.Decided(Decisions.RetrySuppressed)));
        await _lab.IdleAsync();
    }

    [Fact]
    public async Task Put_BodyTooLongToKeep_IsNotHedgedAndTold()
    {
        await StartTwoAsync(true);
        _lab.Serve(Route);
        using var content = new OpenContent(new string('x', 65 * 1024));
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var call = _lab.Client.PutAsync("http://catalog/", content, cancel.Token);
        await Eventually.Async(() => _lab.Requests == 1, "the first is under way");

        _lab.Time.Advance(Delay);

        await Eventually.Async(() => _lab.Decided(Decisions.RetrySuppressed, "body") == 1, "it is told");
        _lab.Time.Advance(Delay * 10);
        Assert.Equal((1, 1L), (_lab.Requests, _lab.Decided(Decisions.RetrySuppressed)));
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        await _lab.IdleAsync();
    }

    [Fact]
    public async Task Get_BudgetIsEmpty_WaitsForTheFirst()
    {
        var go = new TaskCompletionSource();
        await _lab.AddAsync(true, async context =>
        {
            await go.Task;
            await Echo(context);
        });
        _lab.Serve(Route, c => c with { RetryBudget = new RetryBudgetSize(0, 0) });
        var call = _lab.Client.GetStringAsync("http://catalog/", Cancel);
        await Eventually.Async(() => _lab.Requests == 1, "the first is under way");

        _lab.Time.Advance(Delay);

        await Eventually.Async(() => _lab.Decided(Decisions.RetrySuppressed, "budget") == 1, "it is told");
        go.SetResult();
        Assert.Equal("/ ", await call);
        Assert.Equal(1, _lab.Requests);
    }

    [Fact]
    public async Task Get_Percentile_HedgesOnlyWhenEnoughIsKnown()
    {
        await StartTwoAsync(true);
        _hung = 1;
        _lab.Serve(FailureLab.Route with { Hedging = new Hedging(95, Delay, 2) });
        for (var i = 0; i < LatencyPercentile.MinSamples; i++)
        {
            Assert.DoesNotContain(Delay, _lab.Time.Timers);
            await _lab.Client.GetStringAsync("http://catalog/", Cancel);
        }

        _hung = 0;
        var call = _lab.Client.GetStringAsync("http://catalog/", Cancel);
        await _lab.TimerAsync(Delay);
        await Eventually.Async(() => _lab.Requests == LatencyPercentile.MinSamples + 1, "the first is under way");

        _lab.Time.Advance(Delay);

        await call;
        Assert.Equal(1, _lab.Decided(Decisions.Hedge, "percentile"));
    }

    [Fact]
    public async Task GrpcUnary_RouteSaysSo_IsHedged()
    {
        var arrived = 0;
        for (var i = 0; i < 2; i++)
        {
            (await _lab.AddAsync(true)).Intercept = async context =>
            {
                if (Interlocked.Increment(ref arrived) > 1)
                {
                    return false;
                }

                await Hang(context);
                return true;
            };
        }

        _lab.Serve(Route);
        using var channel = _lab.Channel();
        var call = channel.CreateCallInvoker().AsyncUnaryCall(EchoService.UnaryMethod, null, new CallOptions(cancellationToken: Cancel), "hello").ResponseAsync;
        await Eventually.Async(() => Volatile.Read(ref arrived) == 1, "the first is under way");

        // The body of a gRPC call is known to be whole only when its stream ended, which may come after the server began.
        await Eventually.Async(
            () =>
            {
                _lab.Time.Advance(Delay);
                return call.IsCompleted;
            },
            "the second answered");

        Assert.Equal("hello", await call);
        Assert.Equal(1, _lab.Decided(Decisions.Hedge, "delay"));
        await _lab.IdleAsync();
    }

    [Fact]
    public async Task GrpcBidi_StreamIsOpen_IsNotHedged()
    {
        await _lab.AddAsync(true);
        _lab.Serve(Route);
        using var channel = _lab.Channel();
        using var call = channel.CreateCallInvoker().AsyncDuplexStreamingCall(EchoService.BidiMethod, null, new CallOptions(cancellationToken: Cancel));
        await call.RequestStream.WriteAsync("one", Cancel);
        _lab.Time.Advance(Delay);
        Assert.True(await call.ResponseStream.MoveNext(Cancel));
        await call.RequestStream.WriteAsync("two", Cancel);
        Assert.True(await call.ResponseStream.MoveNext(Cancel));

        Assert.Equal("two", call.ResponseStream.Current);
        await call.RequestStream.CompleteAsync();
        Assert.False(await call.ResponseStream.MoveNext(Cancel));
        Assert.Equal(0, _lab.Decided(Decisions.Hedge));
        await _lab.IdleAsync();
    }

    [Fact]
    public async Task Get_CallerCancels_EndsAllAttempts()
    {
        await _lab.AddAsync(true, Hang);
        await _lab.AddAsync(true, Hang);
        _lab.Serve(Route);
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var call = _lab.Client.GetAsync("http://catalog/", cancel.Token);
        await Eventually.Async(() => _lab.Requests == 1, "the first is under way");
        _lab.Time.Advance(Delay);
        await Eventually.Async(() => _lab.Requests == 2, "the second is under way");

        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        await _lab.IdleAsync();
        Assert.Equal(1, _lab.Program.Count(MeshTags.ClientCallDuration, (MeshTags.Outcome, MeshTags.Cancelled)));
    }

    private static Task Echo(HttpContext context) => context.Response.WriteAsync($"{context.Request.Path}{context.Request.QueryString} {context.Request.Headers["x-own"]}");

    private async Task Hang(HttpContext context)
    {
        try
        {
            await new TaskCompletionSource().Task.WaitAsync(context.RequestAborted);
        }
        catch (OperationCanceledException)
        {
            Interlocked.Increment(ref _aborted);
        }
    }

    /// <summary>Two endpoints; whichever is asked first hangs.</summary>
    private async Task StartTwoAsync(bool http2, Func<HttpContext, Task>? before = null)
    {
        for (var i = 0; i < 2; i++)
        {
            await _lab.AddAsync(http2, async context =>
            {
                if (before is not null)
                {
                    await before(context);
                }

                await (Interlocked.Exchange(ref _hung, 1) == 0 ? Hang(context) : Echo(context));
            });
        }
    }
}
