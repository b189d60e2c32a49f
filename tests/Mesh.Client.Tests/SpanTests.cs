using System.Collections.Concurrent;
using System.Diagnostics;
using Grpc.Core;
using Grpc.Net.Client;
using Mesh.Config;
using Mesh.Identity;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace Mesh.Client.Tests;

/// <summary>What a trace shows of a call and its attempts.</summary>
public sealed class SpanTests : IAsyncLifetime
{
    private const string CallSource = "System.Net.Http";
    private readonly TestCa _ca = new("cluster.local");
    private readonly ConcurrentQueue<Activity> _ended = [];
    private readonly ConcurrentQueue<string> _parents = [];
    private readonly Activity _root = new Activity("test").SetIdFormat(ActivityIdFormat.W3C);
    private MeshedProgram _program = null!;
    private Backend _backend = null!;
    private ActivityListener? _listener;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private IEnumerable<Activity> Calls => _ended.Where(a => a.Source.Name == CallSource);

    private Activity[] Attempts => [.. _ended.Where(a => a.Source.Name == MeshTags.ActivitySource).OrderBy(a => a.GetTagItem(MeshTags.Attempt))];

    public async ValueTask InitializeAsync()
    {
        _program = new MeshedProgram(_ca);
        _backend = await Backend.StartAsync(new FixedIdentitySource(_ca.Identity("shop", "catalog")), Answer(200));
        _program.Serve("catalog", [_backend.Endpoint]);
    }

    public async ValueTask DisposeAsync()
    {
        _listener?.Dispose();
        _root.Dispose();
        await _program.DisposeAsync();
        await _backend.DisposeAsync();
        _ca.Dispose();
    }

    [Fact]
    public async Task Get_TriedAgain_HasASpanPerAttemptBelowTheCalls()
    {
        Listen(CallSource, MeshTags.ActivitySource);
        _backend.Handler = Answer(503, 200);

        Assert.Equal("ok", await _program.Client().GetStringAsync("http://catalog/", Cancel));

        var call = Assert.Single(Calls);
        Assert.Equal(_root.SpanId, call.ParentSpanId);
        Assert.Equal(ActivityKind.Client, call.Kind);
        Assert.Equal(
            ("all", "outbound|80||catalog.shop.svc.cluster.local", _backend.Endpoint.HostPort, 2, 200, 1),
            (call.GetTagItem("mesh.route"), call.GetTagItem("mesh.cluster"), call.GetTagItem("mesh.endpoint"), call.GetTagItem("mesh.attempts"), call.GetTagItem("http.response.status_code"), call.GetTagItem("http.request.resend_count")));
        Assert.Equal(ActivityStatusCode.Unset, call.Status);
        Assert.Equal(2, Attempts.Length);
        Assert.All(Attempts, a =>
        {
            Assert.Equal((call.SpanId, ActivityKind.Internal, "mesh.attempt"), (a.ParentSpanId, a.Kind, a.OperationName));
            Assert.Equal((call.GetTagItem("mesh.cluster"), call.GetTagItem("mesh.endpoint"), "mesh"), (a.GetTagItem("mesh.cluster"), a.GetTagItem("mesh.endpoint"), a.GetTagItem("mesh.tls")));
        });
        Assert.Equal([(1, "first", 503, "503"), (2, "503", 200, null)], Attempts.Select(a =>
            (a.GetTagItem("mesh.attempt"), a.GetTagItem("mesh.reason"), a.GetTagItem("http.response.status_code"), a.GetTagItem("error.type"))));
        Assert.Equal(Attempts.Select(a => a.SpanId.ToHexString()), _parents);
    }

    [Fact]
    public async Task Get_NobodyListensToAttempts_SendsTheCallsContext()
    {
        Listen(CallSource);
        _backend.Handler = Answer(503, 200);

        await _program.Client().GetStringAsync("http://catalog/", Cancel);

        Assert.Empty(Attempts);
        var call = Assert.Single(Calls).SpanId.ToHexString();
        Assert.Equal([call, call], _parents);
    }

    [Fact]
    public async Task Get_OnlyAttemptsAreListenedTo_TheyAreBelowTheAppsOwnSpan()
    {
        Listen(MeshTags.ActivitySource);

        await _program.Client().GetStringAsync("http://catalog/", Cancel);

        var attempt = Assert.Single(Attempts);
        Assert.Equal(_root.SpanId, attempt.ParentSpanId);
        Assert.Equal([attempt.SpanId.ToHexString()], _parents);
    }

    [Fact]
    public async Task Get_NobodyListens_SendsTheAppsOwnContextAndLeavesTheRequestAsItWas()
    {
        Listen();
        using var request = new HttpRequestMessage(HttpMethod.Get, "http://catalog/");

        using var response = await _program.Client().SendAsync(request, Cancel);

        Assert.Equal([_root.SpanId.ToHexString()], _parents);
        Assert.Empty(request.Headers);
    }

    [Fact]
    public async Task Send_SameRequestTwice_CarriesItsOwnContextEachTime()
    {
        Listen(CallSource, MeshTags.ActivitySource);
        using var invoker = new HttpMessageInvoker(MeshHandlers.Create(_program.Services, null)!);
        using var request = new HttpRequestMessage(HttpMethod.Get, "http://catalog/");

        for (var i = 0; i < 2; i++)
        {
            using var response = await invoker.SendAsync(request, Cancel);
            await response.Content.ReadAsStringAsync(Cancel);
        }

        Assert.Equal(2, _parents.Distinct().Count());
        Assert.Equal(_ended.Where(a => a.Source.Name == MeshTags.ActivitySource).Select(a => a.SpanId.ToHexString()), _parents);
    }

    [Fact]
    public async Task Get_AppWroteItsOwnTraceparent_ItStays()
    {
        Listen(CallSource, MeshTags.ActivitySource);
        using var request = new HttpRequestMessage(HttpMethod.Get, "http://catalog/");
        request.Headers.Add("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");

        using var response = await _program.Client().SendAsync(request, Cancel);

        Assert.Equal(["b7ad6b7169203331"], _parents);
        Assert.True(request.Headers.Contains("traceparent"));
    }

    [Fact]
    public async Task Get_ConnectFailure_IsWhyTheSecondAttemptWasMade()
    {
        Listen(CallSource, MeshTags.ActivitySource);
        var port = FreePort.Next();
        _program.Serve("catalog", [_backend.Endpoint, new Mesh.Config.Endpoint("127.0.0.1", port, 1, true)], change: c => c with { LoadBalancing = LoadBalancing.RoundRobin });

        // Which endpoint is first is up to chance; each is in its turn.
        await Eventually.Async(
            async () =>
            {
                await _program.Client().GetStringAsync("http://catalog/", Cancel);
                return Attempts.Any(a => a.GetTagItem("mesh.reason") is "connect_failure");
            },
            "a call met the dead endpoint first");

        var failed = Attempts.First(a => a.GetTagItem("error.type") is "connection_error");
        Assert.Equal(($"127.0.0.1:{port}", "none", ActivityStatusCode.Error), (failed.GetTagItem("mesh.endpoint"), failed.GetTagItem("mesh.tls"), failed.Status));
        Assert.Null(failed.GetTagItem("http.response.status_code"));
    }

    [Fact]
    public async Task GrpcStream_EndsWithItsTrailers_SoDoItsSpans()
    {
        Listen(CallSource, MeshTags.ActivitySource);
        using var channel = MeshChannel.ForAddress("xds:///catalog", _program.Services);
        using var stream = channel.CreateCallInvoker().AsyncDuplexStreamingCall(EchoService.BidiMethod, null, new CallOptions(cancellationToken: Cancel));
        await stream.RequestStream.WriteAsync("a", Cancel);
        Assert.True(await stream.ResponseStream.MoveNext(Cancel));
        Assert.Empty(_ended);

        await stream.RequestStream.CompleteAsync();
        Assert.False(await stream.ResponseStream.MoveNext(Cancel));

        await Eventually.Async(() => _ended.Count >= 2, "both spans ended");
        Assert.Equal(0, Assert.Single(Attempts).GetTagItem("rpc.grpc.status_code"));
        Assert.Equal((0, 1), (Assert.Single(Calls).GetTagItem("rpc.grpc.status_code"), Assert.Single(Calls).GetTagItem("mesh.attempts")));
    }

    [Fact]
    public async Task GrpcUnary_ServerFails_SpansSayWhichStatus()
    {
        Listen(CallSource, MeshTags.ActivitySource);
        using var channel = MeshChannel.ForAddress("xds:///catalog", _program.Services);

        await Assert.ThrowsAsync<RpcException>(async () =>
            await channel.CreateCallInvoker().AsyncUnaryCall(EchoService.UnaryMethod, null, new CallOptions(cancellationToken: Cancel), "fail"));

        Assert.Equal(("grpc_13", 13), (Assert.Single(Attempts).GetTagItem("error.type"), Assert.Single(Attempts).GetTagItem("rpc.grpc.status_code")));
        Assert.Equal(("grpc_13", ActivityStatusCode.Error), (Assert.Single(Calls).GetTagItem("error.type"), Assert.Single(Calls).Status));
    }

    [Fact]
    public async Task Get_CallerCancels_IsNeitherSuccessNorFailure()
    {
        Listen(CallSource, MeshTags.ActivitySource);
        var asked = new TaskCompletionSource();
        _backend.Handler = context =>
        {
            asked.SetResult();
            return new TaskCompletionSource().Task.WaitAsync(context.RequestAborted);
        };
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var send = _program.Client().GetAsync("http://catalog/", cancel.Token);
        await asked.Task.WaitAsync(Cancel);

        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => send);
        Assert.Equal("cancelled", Assert.Single(Attempts).GetTagItem("error.type"));
        Assert.Equal("cancelled", Assert.Single(Calls).GetTagItem("error.type"));
        Assert.Equal(1, _program.Count(MeshTags.ClientCallDuration, (MeshTags.Outcome, MeshTags.Cancelled)));
        Assert.Equal(1, _program.Count(MeshTags.ClientAttemptDuration, (MeshTags.Outcome, MeshTags.Cancelled)));
        Assert.Equal(0, _program.Count(MeshTags.ClientCallDuration));
    }

    /// <summary>Nothing of it ends with an error: the app disposes what it does not want any more, as Grpc.Net.Client does when a call is cancelled between two reads.</summary>
    [Theory]
    [InlineData("application/grpc", true)]
    [InlineData("application/json", false)]
    public async Task Post_ResponseIsLeftBeforeItsEnd_IsCancelledWhereAStatusIsStillToCome(string contentType, bool cancelled)
    {
        Listen(CallSource, MeshTags.ActivitySource);
        _backend.Intercept = async context =>
        {
            context.Response.ContentType = contentType;
            await context.Response.Body.FlushAsync(context.RequestAborted);
            await new TaskCompletionSource().Task.WaitAsync(context.RequestAborted);
            return true;
        };
        using var request = new HttpRequestMessage(HttpMethod.Post, "http://catalog/truth.Truth/Server") { Content = new ByteArrayContent([]) };
        request.Content.Headers.ContentType = new(contentType);
        var response = await _program.Client().SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancel);

        response.Dispose();

        Assert.Equal(cancelled ? "cancelled" : null, Assert.Single(Calls).GetTagItem("error.type"));
        Assert.Equal(cancelled ? 1 : 0, _program.Count(MeshTags.ClientCallDuration, (MeshTags.Outcome, MeshTags.Cancelled)));
        Assert.Equal(cancelled ? 1 : 0, _program.Count(MeshTags.ClientAttemptDuration, (MeshTags.Outcome, MeshTags.Cancelled)));
    }

    /// <summary>A sidecar's caller hangs up as soon as it has what was announced: the server's end of the response may come later.</summary>
    [Theory]
    [InlineData(9, false)]
    [InlineData(10, true)]
    public async Task Get_CallerLeavesWithAllOfTheResponse_IsNotCancelled(int announced, bool cancelled)
    {
        Listen(CallSource, MeshTags.ActivitySource);
        _backend.Intercept = async context =>
        {
            context.Response.ContentLength = announced;
            await context.Response.WriteAsync("all of it", context.RequestAborted);
            await new TaskCompletionSource().Task.WaitAsync(context.RequestAborted);
            return true;
        };
        using var leave = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        using var response = await _program.Client().GetAsync(new Uri("http://catalog/"), HttpCompletionOption.ResponseHeadersRead, Cancel);
        await using var body = await response.Content.ReadAsStreamAsync(Cancel);
        await body.ReadExactlyAsync(new byte[9], Cancel);
        var rest = body.ReadAsync(new byte[1], leave.Token);

        await leave.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await rest);
        Assert.Equal(cancelled ? "cancelled" : null, Assert.Single(Calls).GetTagItem("error.type"));
        Assert.Equal(cancelled ? 1 : 0, _program.Count(MeshTags.ClientCallDuration, (MeshTags.Outcome, MeshTags.Cancelled)));
    }

    /// <summary>A sidecar's caller resets its stream: the request's body ends with that before anything is cancelled, and takes the response with it.</summary>
    [Theory]
    [InlineData(true, MeshTags.Cancelled)]
    [InlineData(false, MeshTags.Failure)]
    public async Task Post_RequestBodyBreaksWhileTheResponseComes_IsTheCallersEndWhereTheCallerBrokeIt(bool byCaller, string outcome)
    {
        Listen(CallSource, MeshTags.ActivitySource);
        _backend.Intercept = async context =>
        {
            context.Response.ContentType = "application/grpc";
            await context.Response.Body.FlushAsync(context.RequestAborted);
            await new TaskCompletionSource().Task.WaitAsync(context.RequestAborted);
            return true;
        };
        var body = new BreakingBody(byCaller);
        using var request = new HttpRequestMessage(HttpMethod.Post, "http://catalog/truth.Truth/Bidi") { Content = body };
        using var response = await _program.Client().SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancel);
        var read = response.Content.ReadAsByteArrayAsync(Cancel);

        body.Break();

        await Assert.ThrowsAnyAsync<Exception>(() => read);
        Assert.Equal(1, _program.Count(MeshTags.ClientCallDuration, (MeshTags.Outcome, outcome)));
        Assert.Equal(1, _program.Count(MeshTags.ClientAttemptDuration, (MeshTags.Outcome, outcome)));
    }

    [Fact]
    public async Task Get_BodyEndsInsideAnotherSpanOfTheApp_ThatStaysCurrent()
    {
        Listen(CallSource, MeshTags.ActivitySource);
        using var response = await _program.Client().GetAsync("http://catalog/", HttpCompletionOption.ResponseHeadersRead, Cancel);
        using var own = new Activity("own").Start();

        using (var stream = await response.Content.ReadAsStreamAsync(Cancel))
        {
#pragma warning disable CA1849, VSTHRD103 // the synchronous read runs in this very flow
            while (stream.ReadByte() >= 0)
#pragma warning restore CA1849, VSTHRD103
            {
            }
        }

        Assert.Single(Calls);
        Assert.Same(own, Activity.Current);
    }

    /// <summary>From here on the test serves a request that is traced.</summary>
    private void Listen(params string[] sources)
    {
        // Recorded, as a tracer that sampled the request would say.
        _root.ActivityTraceFlags = ActivityTraceFlags.Recorded;
        _root.Start();
        var trace = _root.TraceId;
        _listener = new ActivityListener
        {
            ShouldListenTo = source => sources.Contains(source.Name),
            Sample = (ref ActivityCreationOptions<ActivityContext> options) => options.Parent.TraceId == trace ? ActivitySamplingResult.AllDataAndRecorded : ActivitySamplingResult.None,
            ActivityStopped = activity =>
            {
                if (activity.TraceId == trace)
                {
                    _ended.Enqueue(activity);
                }
            },
        };
        ActivitySource.AddActivityListener(_listener);
    }

    /// <summary>Answers in turn, the last one for ever, and notes which span the request came from.</summary>
    private Func<HttpContext, Task> Answer(params int[] statuses)
    {
        var next = -1;
        return context =>
        {
            _parents.Enqueue(context.Request.Headers.TraceParent.ToString().Split('-')[2]);
            context.Response.StatusCode = statuses[Math.Min(Interlocked.Increment(ref next), statuses.Length - 1)];
            return context.Response.WriteAsync("ok");
        };
    }
}
