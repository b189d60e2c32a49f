using System.Net;
using Grpc.Core;
using Mesh.Config;
using Mesh.Identity;
using Mesh.Telemetry;
using Mesh.Testing;
using Mesh.Traffic;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Server.Tests;

/// <summary>More requests than a server takes, over mTLS on real Kestrel: what was accepted finishes, what is too much is told at once, and it is over when the load is.</summary>
public sealed class OverloadTests : IDisposable
{
    private const int Places = 4;
    private const int Queue = 4;
    private static readonly InboundLimits Limits = new() { Concurrency = new ServerConcurrency(Places, Queue, TimeSpan.FromMinutes(5)) };
    private readonly TestCa _ca = new("cluster.local");

    public enum Kind
    {
        Http11,
        Http2,
        Plaintext,
        GrpcUnary,
        GrpcStreaming,
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _ca.Dispose();

    [Theory]
    [InlineData(Kind.Http11)]
    [InlineData(Kind.Http2)]
    [InlineData(Kind.Plaintext)]
    [InlineData(Kind.GrpcUnary)]
    [InlineData(Kind.GrpcStreaming)]
    public async Task TwiceTheLoad_AcceptedFinish_RestIsRefusedWhileTheyRun_ThenAllIsAsBefore(Kind kind)
    {
        await using var app = await LimitedApp.StartAsync(_ca, Limits);
        using var caller = new Caller(app, kind);
        Assert.Equal(Answer.Done, await caller.CallAsync(Token));
        app.Room.Close();
        var calls = Enumerable.Range(0, 2 * (Places + Queue)).Select(_ => caller.CallAsync(Token)).ToList();

        // Refused while the others still run: a queue without end would keep them all.
        await Eventually.Async(() => calls.Count(c => c.IsCompleted) == Places + Queue, "half of them have their answer");
        await Eventually.Async(() => app.Room.Inside == Places, "the app works on what it takes");
        Assert.Equal(Queue, app.Waiting);
        Assert.All(calls.Where(c => c.IsCompleted), c => Assert.Equal(Answer.Overloaded, c.Result));
        Assert.Equal(Places + Queue, app.Decided(Decisions.Shed, "concurrency"));

        app.Room.Open();
        Assert.Equal(Places + Queue, (await Task.WhenAll(calls)).Count(a => a == Answer.Done));
        Assert.Equal(Places, app.Room.Most);
        // At once: the first request after the load is served, and as many as before have room.
        Assert.Equal(Answer.Done, await caller.CallAsync(Token));
        Assert.All(await Task.WhenAll(Enumerable.Range(0, Places).Select(_ => caller.CallAsync(Token))), a => Assert.Equal(Answer.Done, a));
    }

    [Theory]
    [InlineData(Kind.Http11)]
    [InlineData(Kind.Http2)]
    [InlineData(Kind.GrpcUnary)]
    [InlineData(Kind.GrpcStreaming)]
    public async Task LastingOverload_EveryCallIsServedOrRefused_NeverMoreInsideThanMayBe(Kind kind)
    {
        await using var app = await LimitedApp.StartAsync(_ca, Limits);
        using var caller = new Caller(app, kind);
        var answers = await Task.WhenAll(Enumerable.Range(0, 3 * (Places + Queue)).Select(async _ =>
        {
            var own = new List<Answer>();
            for (var i = 0; i < 20; i++)
            {
                own.Add(await caller.CallAsync(Token));
            }

            return own;
        }));

        var all = answers.SelectMany(a => a).ToList();
        Assert.Equal(all.Count, all.Count(a => a is Answer.Done or Answer.Overloaded));
        Assert.Equal(app.Room.Entered, all.Count(a => a == Answer.Done));
        Assert.Equal(app.Decided(Decisions.Shed, "concurrency"), all.Count(a => a == Answer.Overloaded));
        Assert.InRange(app.Room.Most, 1, Places);
        Assert.Equal(Answer.Done, await caller.CallAsync(Token));
    }

    [Fact]
    public async Task Http_Refused_Is503WithRetryAfterAndProbesAreAnswered()
    {
        await using var app = await LimitedApp.StartAsync(_ca, new InboundLimits { Concurrency = new ServerConcurrency(1, 0, TimeSpan.FromSeconds(1)) });
        using var client = app.Client("2.0");
        using var plain = app.Client(null);
        app.Room.Close();
        var inside = client.GetStringAsync(app.Url, Token);
        await Eventually.Async(() => app.Room.Inside == 1, "the first is inside");

        using var refused = await client.GetAsync(app.Url, Token);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        Assert.Equal(TimeSpan.FromSeconds(1), refused.Headers.RetryAfter?.Delta);
        Assert.Equal("Overloaded", Assert.Single(refused.Headers.GetValues("mesh-error")));
        Assert.Equal("alive", await client.GetStringAsync($"http://{app.Address}/healthz", Token));
        Assert.Equal("alive", await plain.GetStringAsync($"http://{app.Address}/healthz", Token));
        Assert.Equal(1, app.App.Requests("web", MeshTags.Failure));
        app.Room.Open();
        Assert.Equal("done", await inside);
    }

    [Fact]
    public async Task Grpc_Refused_CountsAsTheServersFailure()
    {
        await using var app = await LimitedApp.StartAsync(_ca, new InboundLimits { Concurrency = new ServerConcurrency(1, 0, TimeSpan.FromSeconds(1)) });
        using var caller = new Caller(app, Kind.GrpcUnary);
        app.Room.Close();
        var inside = caller.CallAsync(Token);
        await Eventually.Async(() => app.Room.Inside == 1, "the first is inside");

        Assert.Equal(Answer.Overloaded, await caller.CallAsync(Token));

        await Eventually.Async(() => app.App.Requests("web", MeshTags.Failure) == 1, "the refusal is counted");
        app.Room.Open();
        Assert.Equal(Answer.Done, await inside);
    }

    [Fact]
    public async Task Grpc_OpenStream_HoldsItsPlaceUntilItEnds()
    {
        await using var app = await LimitedApp.StartAsync(_ca, new InboundLimits { Concurrency = new ServerConcurrency(1, 0, TimeSpan.FromSeconds(1)) });
        using var client = app.Client("2.0");
        using var channel = app.Channel(client);
        using var unary = new Caller(app, Kind.GrpcUnary);
        using (var stream = channel.CreateCallInvoker().AsyncDuplexStreamingCall(WorkService.DuplexMethod, null, new CallOptions(cancellationToken: Token)))
        {
            await stream.RequestStream.WriteAsync("a", Token);
            Assert.True(await stream.ResponseStream.MoveNext(Token));
            Assert.Equal(Answer.Overloaded, await unary.CallAsync(Token));
            await stream.RequestStream.CompleteAsync();
            Assert.False(await stream.ResponseStream.MoveNext(Token));
        }

        await Eventually.Async(async () => await unary.CallAsync(Token) == Answer.Done, "the stream's place is free");
    }

    [Fact]
    public async Task Http_WaitedAsLongAsMayBe_Is503()
    {
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        var limits = new InboundLimits { Concurrency = new ServerConcurrency(1, 1, TimeSpan.FromSeconds(3)) };
        await using var app = await LimitedApp.StartAsync(_ca, limits, services: s => s.AddSingleton<TimeProvider>(time));
        using var client = app.Client("2.0");
        app.Room.Close();
        var inside = client.GetStringAsync(app.Url, Token);
        await Eventually.Async(() => app.Room.Inside == 1, "the first is inside");
        var waits = client.GetAsync(app.Url, Token);
        await Eventually.Async(() => app.Waiting == 1, "the second waits");
        Assert.False(waits.IsCompleted);

        time.Advance(TimeSpan.FromSeconds(3));

        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await waits).StatusCode);
        Assert.Equal(1, app.Decided(Decisions.Shed, "queue_timeout"));
        app.Room.Open();
        Assert.Equal("done", await inside);
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task Http_DeadlineOverInTheQueue_Is504AndTheAppNeverSeesIt(string version)
    {
        await using var app = await LimitedApp.StartAsync(_ca, Limits with { Concurrency = new ServerConcurrency(1, 5, TimeSpan.FromMinutes(5)) });
        using var client = app.Client(version);
        app.Room.Close();
        var inside = client.GetStringAsync(app.Url, Token);
        await Eventually.Async(() => app.Room.Inside == 1, "the first is inside");
        using var request = new HttpRequestMessage(HttpMethod.Get, app.Url) { Version = client.DefaultRequestVersion, VersionPolicy = client.DefaultVersionPolicy };
        request.Headers.Add("request-timeout", "0.2");

        using var response = await client.SendAsync(request, Token);

        Assert.Equal(HttpStatusCode.GatewayTimeout, response.StatusCode);
        Assert.Equal("DeadlineExceeded", Assert.Single(response.Headers.GetValues("mesh-error")));
        Assert.Equal(1, app.Exceeded);
        Assert.Equal(1, app.Decided(Decisions.Timeout, "deadline"));
        app.Room.Open();
        Assert.Equal("done", await inside);
        Assert.Equal(1, app.Room.Entered);
    }

    [Fact]
    public async Task Grpc_DeadlineOverInTheQueue_IsDeadlineExceeded()
    {
        await using var app = await LimitedApp.StartAsync(_ca, Limits with { Concurrency = new ServerConcurrency(1, 5, TimeSpan.FromMinutes(5)) });
        using var caller = new Caller(app, Kind.GrpcUnary);
        app.Room.Close();
        var inside = caller.CallAsync(Token);
        await Eventually.Async(() => app.Room.Inside == 1, "the first is inside");

        Assert.Equal(Answer.DeadlineExceeded, await caller.CallAsync(Token, DateTime.UtcNow.AddMilliseconds(200)));

        await Eventually.Async(() => app.Exceeded + app.Cancelled == 1, "it left the queue");
        app.Room.Open();
        Assert.Equal(Answer.Done, await inside);
        Assert.Equal(1, app.Room.Entered);
    }

    [Theory]
    [InlineData(Kind.Http11)]
    [InlineData(Kind.Http2)]
    [InlineData(Kind.GrpcUnary)]
    public async Task CallerLeavesTheQueue_IsCountedAndTheNextMovesUp(Kind kind)
    {
        await using var app = await LimitedApp.StartAsync(_ca, Limits with { Concurrency = new ServerConcurrency(1, 1, TimeSpan.FromMinutes(5)) });
        using var caller = new Caller(app, kind);
        app.Room.Close();
        var inside = caller.CallAsync(Token);
        await Eventually.Async(() => app.Room.Inside == 1, "the first is inside");
        using var gone = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var leaves = caller.CallAsync(gone.Token);
        await Eventually.Async(() => app.Waiting == 1, "the second waits");
        Assert.Equal(Answer.Overloaded, await caller.CallAsync(Token));

        await gone.CancelAsync();

        Assert.Equal(Answer.Cancelled, await leaves);
        await Eventually.Async(() => app is { Cancelled: 1, Waiting: 0 }, "the request is counted");
        var next = caller.CallAsync(Token);
        await Eventually.Async(() => app.Waiting == 1, "the next has its place");
        app.Room.Open();
        Assert.Equal([Answer.Done, Answer.Done], await Task.WhenAll(inside, next));
        Assert.Equal(2, app.Room.Entered);
    }

    [Theory]
    [InlineData(Kind.Http11)]
    [InlineData(Kind.Http2)]
    [InlineData(Kind.GrpcUnary)]
    [InlineData(Kind.GrpcStreaming)]
    public async Task CallerLeavesTheApp_ItsWorkIsCancelledCountedAndItsPlaceIsFree(Kind kind)
    {
        await using var app = await LimitedApp.StartAsync(_ca, new InboundLimits { Concurrency = new ServerConcurrency(1, 0, TimeSpan.FromSeconds(1)) });
        using var caller = new Caller(app, kind);
        app.Room.Close();
        using var gone = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var leaves = caller.CallAsync(gone.Token);
        await Eventually.Async(() => app.Room.Inside == 1, "it is inside");

        await gone.CancelAsync();

        Assert.Equal(Answer.Cancelled, await leaves);
        await Eventually.Async(() => app is { Cancelled: 1, Room.Inside: 0 }, "its work has ended");
        app.Room.Open();
        await Eventually.Async(async () => await caller.CallAsync(Token) == Answer.Done, "its place is free");
        Assert.Equal(0, app.Exceeded);
    }

    [Theory]
    [InlineData(Kind.Http11)]
    [InlineData(Kind.Http2)]
    [InlineData(Kind.GrpcUnary)]
    [InlineData(Kind.GrpcStreaming)]
    public async Task DeadlineOverInTheApp_ItsWorkIsCancelledCountedAndItsPlaceIsFree(Kind kind)
    {
        await using var app = await LimitedApp.StartAsync(_ca, new InboundLimits { Concurrency = new ServerConcurrency(1, 0, TimeSpan.FromSeconds(1)) });
        using var caller = new Caller(app, kind);
        Assert.Equal(Answer.Done, await caller.CallAsync(Token));
        app.Room.Close();

        Assert.Equal(Answer.DeadlineExceeded, await caller.CallAsync(Token, DateTime.UtcNow.AddMilliseconds(300)));

        await Eventually.Async(() => app.Room.Inside == 0 && app.Exceeded + app.Cancelled == 1, "its work has ended");
        app.Room.Open();
        await Eventually.Async(async () => await caller.CallAsync(Token) == Answer.Done, "its place is free");
    }

    [Fact]
    public async Task Options_Alone_LimitTheServerOverAllItsPortsButTheExcluded()
    {
        var excluded = FreePort.Next();
        var room = new Room();
        await using var app = await MeshApp.StartAsync(
            _ca,
            web => web.UseUrls("http://127.0.0.1:0", "http://[::1]:0", $"http://127.0.0.1:{excluded}"),
            routes => Microsoft.AspNetCore.Builder.EndpointRouteBuilderExtensions.MapGet(
                routes, "/work", (Delegate)((Microsoft.AspNetCore.Http.HttpContext context) => room.WorkAsync(context.RequestAborted))),
            s => s.Configure<Mesh.Hosting.MeshOptions>(o =>
            {
                o.Server.MaxConcurrentRequests = 1;
                o.Server.ExcludedPorts.Add(excluded);
            }));
        var ports = app.Addresses.Select(a => new Uri(a)).ToArray();
        app.Config.Set(MeshApp.Inbound($"127.0.0.1:{ports[0].Port}") with
        {
            Listeners = MeshApp.Inbound($"127.0.0.1:{ports[0].Port}").Listeners.AddRange(MeshApp.Inbound($"[::1]:{ports[1].Port}").Listeners),
        });
        using var client = new HttpClient();
        room.Close();
        var inside = client.GetStringAsync(new Uri(ports[0], "/work"), Token);
        await Eventually.Async(() => room.Inside == 1, "the first is inside");

        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await client.GetAsync(new Uri(ports[0], "/"), Token)).StatusCode);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await client.GetAsync(new Uri(ports[1], "/"), Token)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync(new Uri(ports[2], "/"), Token)).StatusCode);
        room.Open();
        Assert.Equal("done", await inside);
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync(new Uri(ports[1], "/"), Token)).StatusCode);
    }

    [Fact]
    public async Task Http_DeadlineOverBeforeTheIdentity_Is504()
    {
        await using var app = await LimitedApp.StartAsync(_ca, null, services: s => s.AddSingleton<IWorkloadIdentitySource>(new NoIdentity()));
        using var plain = app.Client(null);
        using var request = new HttpRequestMessage(HttpMethod.Get, app.Url);
        request.Headers.Add("request-timeout", "0.1");

        using var response = await plain.SendAsync(request, Token);

        Assert.Equal(HttpStatusCode.GatewayTimeout, response.StatusCode);
        Assert.Equal(1, app.Exceeded);
        Assert.Equal(0, app.Room.Entered);
    }

    /// <summary>How a call ended.</summary>
    private enum Answer
    {
        Done,
        Overloaded,
        DeadlineExceeded,
        Cancelled,
        Other,
    }

    /// <summary>Calls the same work one way or another and says in the same words what came of it.</summary>
    private sealed class Caller : IDisposable
    {
        private readonly LimitedApp _app;
        private readonly Kind _kind;
        private readonly HttpClient _client;
        private readonly Grpc.Net.Client.GrpcChannel _channel;

        public Caller(LimitedApp app, Kind kind)
        {
            (_app, _kind) = (app, kind);
            _client = app.Client(kind switch { Kind.Http11 => "1.1", Kind.Plaintext => null, _ => "2.0" });
            _channel = app.Channel(_client);
        }

        public async Task<Answer> CallAsync(CancellationToken cancellationToken, DateTime? deadline = null)
        {
            try
            {
                return _kind is Kind.GrpcUnary or Kind.GrpcStreaming ? await GrpcAsync(new CallOptions(deadline: deadline, cancellationToken: cancellationToken)) : await HttpAsync(deadline, cancellationToken);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return Answer.Cancelled;
            }
        }

        public void Dispose()
        {
            _channel.Dispose();
            _client.Dispose();
        }

        private async Task<Answer> HttpAsync(DateTime? deadline, CancellationToken cancellationToken)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, _app.Url) { Version = _client.DefaultRequestVersion, VersionPolicy = _client.DefaultVersionPolicy };
            if (deadline is not null)
            {
                request.Headers.Add(DeadlineHeaders.Http, DeadlineHeaders.FormatHttp(deadline.Value - DateTime.UtcNow));
            }

            using var response = await _client.SendAsync(request, cancellationToken);
            return response.StatusCode switch
            {
                HttpStatusCode.OK when await response.Content.ReadAsStringAsync(cancellationToken) == "done" => Answer.Done,
                HttpStatusCode.ServiceUnavailable when response.Headers.GetValues("mesh-error").Single() == "Overloaded" => Answer.Overloaded,
                HttpStatusCode.GatewayTimeout => Answer.DeadlineExceeded,
                _ => Answer.Other,
            };
        }

        private async Task<Answer> GrpcAsync(CallOptions options)
        {
            try
            {
                var invoker = _channel.CreateCallInvoker();
                if (_kind == Kind.GrpcUnary)
                {
                    return await invoker.AsyncUnaryCall(WorkService.UnaryMethod, null, options, "x") == "done" ? Answer.Done : Answer.Other;
                }

                using var call = invoker.AsyncServerStreamingCall(WorkService.StreamMethod, null, options, "x");
                var parts = new List<string>();
                while (await call.ResponseStream.MoveNext(options.CancellationToken))
                {
                    parts.Add(call.ResponseStream.Current);
                }

                return parts is ["begun", "done"] ? Answer.Done : Answer.Other;
            }
            catch (RpcException e)
            {
                return e.StatusCode switch
                {
                    StatusCode.ResourceExhausted => Answer.Overloaded,
                    StatusCode.DeadlineExceeded => Answer.DeadlineExceeded,
                    StatusCode.Cancelled => Answer.Cancelled,
                    _ => Answer.Other,
                };
            }
        }
    }

    private sealed class NoIdentity : IWorkloadIdentitySource
    {
        public WorkloadIdentity? Current => null;

        public ValueTask<WorkloadIdentity> GetAsync(CancellationToken cancellationToken) => new(new TaskCompletionSource<WorkloadIdentity>().Task.WaitAsync(cancellationToken));
    }
}
