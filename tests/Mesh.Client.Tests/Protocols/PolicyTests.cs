using Mesh.Config;
using Mesh.Telemetry;
using Mesh.Testing;
using Mesh.Traffic;
using Xunit;

namespace Mesh.Client.Tests.Protocols;

/// <summary>Every policy over every protocol: what the app gets, what arrives at real servers, and that the decision is counted and on the call's span.</summary>
public sealed class PolicyTests
{
    private const int All = 1_000_000;
    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(300);

    public static TheoryData<Protocol> Protocols => [Protocol.Http1, Protocol.Http2, Protocol.GrpcUnary, Protocol.GrpcStream];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task Protocol_NothingArmed_IsTheOneThatItSaysAndDecidesNothing(Protocol protocol)
    {
        await using var lab = await ProtocolLab.StartAsync(protocol);
        lab.Serve(ProtocolLab.Route);

        Assert.Equal(Got.Answer, await lab.CallAsync(Cancel));

        Assert.Equal(protocol == Protocol.Http1 ? "HTTP/1.1" : "HTTP/2", Assert.Single(lab.Seen).Protocol);
        Assert.Empty(lab.What);
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task Retry_FirstAnswerIsAFailure_SecondOneIsTheApps(Protocol protocol)
    {
        await using var lab = await ProtocolLab.StartAsync(protocol, endpoints: 2);
        lab.Script = (_, request) => request == 1 ? Does.Refuse : Does.Answer;
        lab.Serve(ProtocolLab.Route with { Retry = Retry(RetryOn.GatewayError | RetryOn.GrpcUnavailable) });

        Assert.Equal(Got.Answer, await lab.CallAsync(Cancel));

        Assert.Equal(2, lab.Seen.Select(s => s.Endpoint).Distinct().Count());
        await DecidedAsync(lab, Decisions.Retry, lab.IsGrpc ? "grpc_14" : "503");
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task Timeout_ServerHangs_CallEnds(Protocol protocol)
    {
        await using var lab = await ProtocolLab.StartAsync(protocol);
        lab.Script = (_, _) => Does.Hang;
        lab.Serve(ProtocolLab.Route with { Timeout = Soon });

        Assert.Equal(Got.Timeout, await lab.CallAsync(Cancel));

        await DecidedAsync(lab, Decisions.Timeout, "request");
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task AttemptTimeout_FirstAttemptHangs_IsTriedAgainOnlyWhereThatIsSafe(Protocol protocol)
    {
        await using var lab = await ProtocolLab.StartAsync(protocol, endpoints: 2);
        lab.Script = (_, request) => request == 1 ? Does.Hang : Does.Answer;
        // Long enough for an attempt that is not made to wait, also on a busy machine.
        lab.Serve(ProtocolLab.Route with { Retry = Retry(RetryOn.GatewayError | RetryOn.GrpcUnavailable) with { PerTryTimeout = Soon * 5 } });

        // A gRPC call may have been done: it is not sent twice.
        Assert.Equal(lab.IsGrpc ? Got.Timeout : Got.Answer, await lab.CallAsync(Cancel));

        Assert.Equal(lab.IsGrpc ? 1 : 2, lab.Requests);
        await DecidedAsync(lab, Decisions.Timeout, "attempt");
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task ResponseHeadersTimeout_ServerHangs_CallEnds(Protocol protocol)
    {
        await using var lab = await ProtocolLab.StartAsync(protocol);
        lab.Script = (_, _) => Does.Hang;
        lab.Serve(ProtocolLab.Route with { ResponseHeadersTimeout = Soon, Retry = Retry(RetryOn.None) });

        Assert.Equal(Got.Timeout, await lab.CallAsync(Cancel));

        await DecidedAsync(lab, Decisions.Timeout, "headers");
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task CircuitBreaking_OneMoreThanAllowed_IsRefusedAtOnce(Protocol protocol)
    {
        await using var lab = await ProtocolLab.StartAsync(protocol);
        lab.Script = (_, request) => request == 1 ? Does.Hang : Does.Answer;
        lab.Serve(ProtocolLab.Route, c => c with { MaxRequests = 1 });
        using var leave = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var first = lab.CallAsync(leave.Token);
        await Eventually.Async(() => lab.Requests == 1, "the first call is in flight");

        Assert.Equal(Got.Unavailable, await lab.CallAsync(Cancel));
        await leave.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        Assert.Equal(1, lab.Requests);
        await DecidedAsync(lab, Decisions.Shed, "max_requests");
        // A gRPC call that is cancelled ends for the app at once, and for the mesh a moment later: only then its place is free.
        await Eventually.Async(() => lab.InFlight == 0, "the place is free");
        Assert.Equal(Got.Answer, await lab.CallAsync(Cancel));
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task OutlierEjection_OneEndpointFails_ItGetsNoMoreCalls(Protocol protocol)
    {
        await using var lab = await ProtocolLab.StartAsync(protocol, endpoints: 2);
        lab.Script = (endpoint, _) => endpoint == 0 ? Does.Fail : Does.Answer;
        lab.Serve(
            ProtocolLab.Route with { Retry = Retry(RetryOn.ServerError | RetryOn.GrpcInternal) },
            c => c with { LoadBalancing = LoadBalancing.RoundRobin, OutlierDetection = new OutlierDetection(3, TimeSpan.FromMinutes(5), TimeSpan.FromMinutes(5), 50) });

        // Which endpoint is first is the balancer's; the failing one is met soon.
        await Eventually.Async(
            async () =>
            {
                var got = await lab.CallAsync(Cancel);
                Assert.True(got == Got.Answer, $"{got}: {lab.What}");
                return lab.Decided(Decisions.Eject, "consecutive_failures") == 1;
            },
            "the failing endpoint is ejected");
        lab.Seen.Clear();
        for (var i = 0; i < 10; i++)
        {
            Assert.Equal(Got.Answer, await lab.CallAsync(Cancel));
        }

        Assert.All(lab.Seen, s => Assert.Equal(1, s.Endpoint));
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task Deadline_OfTheRequestBeingServed_EndsTheCall(Protocol protocol)
    {
        await using var lab = await ProtocolLab.StartAsync(protocol);
        lab.Script = (_, _) => Does.Hang;
        lab.Serve(ProtocolLab.Route);
        Deadline.Current = new Deadline(TimeProvider.System, TimeProvider.System.GetTimestamp(), Soon);

        Assert.Equal(Got.Timeout, await lab.CallAsync(Cancel));

        await DecidedAsync(lab, Decisions.Timeout, "deadline");
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task Hedging_FirstAttemptIsSlow_TheOtherAnswers(Protocol protocol)
    {
        await using var lab = await ProtocolLab.StartAsync(protocol, endpoints: 2);
        lab.Script = (_, request) => request == 1 ? Does.Hang : Does.Answer;
        lab.Serve(ProtocolLab.Route with { Hedging = new Hedging(0, TimeSpan.FromMilliseconds(50), 2) });

        Assert.Equal(Got.Answer, await lab.CallAsync(Cancel));

        Assert.Equal(2, lab.Seen.Select(s => s.Endpoint).Distinct().Count());
        await DecidedAsync(lab, Decisions.Hedge, "delay");
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task Hedging_OfARewrittenCall_BothAttemptsAreRewritten(Protocol protocol)
    {
        await using var lab = await ProtocolLab.StartAsync(protocol, endpoints: 2);
        lab.Script = (_, request) => request == 1 ? Does.Hang : Does.Answer;
        lab.Serve(ProtocolLab.Route with { Hedging = new Hedging(0, TimeSpan.FromMilliseconds(50), 2), PathRewrite = new PathRewrite.Full("/new") });

        Assert.Equal(Got.Answer, await lab.CallAsync(Cancel));

        Assert.Equal(["/new", "/new"], lab.Seen.Select(s => s.Path));
        Assert.Equal(2, lab.Seen.Select(s => s.Endpoint).Distinct().Count());
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task Fault_AbortOfARouteThatRetries_IsTheAnswerAndNoRetryIsSpentOnIt(Protocol protocol)
    {
        await using var lab = await ProtocolLab.StartAsync(protocol);
        lab.Serve(
            ProtocolLab.Route with { Retry = Retry(RetryOn.GatewayError | RetryOn.ServerError | RetryOn.GrpcUnavailable) }, null,
            new HttpFilter("fault", new FaultInjection { AbortHttpStatus = lab.IsGrpc ? null : 503, AbortGrpcStatus = lab.IsGrpc ? 14 : null, AbortPerMillion = All }));

        Assert.Equal(Got.Unavailable, await lab.CallAsync(Cancel));

        Assert.Equal(0, lab.Requests);
        Assert.DoesNotContain(Decisions.Retry, lab.What, StringComparison.Ordinal);
        await DecidedAsync(lab, Decisions.FaultAbort, lab.IsGrpc ? "14" : "503");
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task Fault_DelayLongerThanTheTimeout_EndsWithIt(Protocol protocol)
    {
        await using var lab = await ProtocolLab.StartAsync(protocol);
        lab.Serve(ProtocolLab.Route with { Timeout = Soon }, null, new HttpFilter("fault", new FaultInjection { Delay = TimeSpan.FromHours(1), DelayPerMillion = All }));

        Assert.Equal(Got.Timeout, await lab.CallAsync(Cancel));

        Assert.Equal(0, lab.Requests);
        await DecidedAsync(lab, Decisions.FaultDelay, "fixed");
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task Fault_DelayLongerThanTheDeadline_EndsWithIt(Protocol protocol)
    {
        await using var lab = await ProtocolLab.StartAsync(protocol);
        lab.Serve(ProtocolLab.Route, null, new HttpFilter("fault", new FaultInjection { Delay = TimeSpan.FromHours(1), DelayPerMillion = All }));
        Deadline.Current = new Deadline(TimeProvider.System, TimeProvider.System.GetTimestamp(), Soon);

        Assert.Equal(Got.Timeout, await lab.CallAsync(Cancel));

        Assert.Equal(0, lab.Requests);
        await DecidedAsync(lab, Decisions.FaultDelay, "fixed");
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task Fault_CallerLeavesDuringTheDelay_NoServerIsAsked(Protocol protocol)
    {
        await using var lab = await ProtocolLab.StartAsync(protocol);
        lab.Serve(ProtocolLab.Route, null, new HttpFilter("fault", new FaultInjection { Delay = TimeSpan.FromHours(1), DelayPerMillion = All }));
        using var leave = new CancellationTokenSource();
        var call = lab.CallAsync(leave.Token);
        Assert.False(call.IsCompleted);

        await leave.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        Assert.Equal(0, lab.Requests);
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task Fault_Abort_NoServerIsAsked(Protocol protocol)
    {
        await using var lab = await ProtocolLab.StartAsync(protocol);
        lab.Serve(ProtocolLab.Route, null, new HttpFilter("fault", new FaultInjection { AbortHttpStatus = lab.IsGrpc ? null : 503, AbortGrpcStatus = lab.IsGrpc ? 14 : null, AbortPerMillion = All }));

        Assert.Equal(Got.Unavailable, await lab.CallAsync(Cancel));

        Assert.Equal(0, lab.Requests);
        await DecidedAsync(lab, Decisions.FaultAbort, lab.IsGrpc ? "14" : "503");
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task Fault_Delay_ThenTheServerAnswers(Protocol protocol)
    {
        await using var lab = await ProtocolLab.StartAsync(protocol);
        lab.Serve(ProtocolLab.Route, null, new HttpFilter("fault", new FaultInjection { Delay = TimeSpan.FromMilliseconds(20), DelayPerMillion = All }));

        Assert.Equal(Got.Answer, await lab.CallAsync(Cancel));

        await DecidedAsync(lab, Decisions.FaultDelay, "fixed");
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task Mirror_CopyArrivesToo(Protocol protocol)
    {
        await using var lab = await ProtocolLab.StartAsync(protocol);
        lab.Serve(ProtocolLab.Route with { Mirrors = [ProtocolLab.Mirrored] });

        Assert.Equal(Got.Answer, await lab.CallAsync(Cancel));

        await Eventually.Async(() => lab.Requests == 2, "the copy arrived");
        await DecidedAsync(lab, Decisions.Mirror, "sent");
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task Rewrite_ServerSeesAnotherPath(Protocol protocol)
    {
        await using var lab = await ProtocolLab.StartAsync(protocol);
        lab.Serve(ProtocolLab.Route with { PathRewrite = new PathRewrite.Full("/new") });

        Assert.Equal(Got.Answer, await lab.CallAsync(Cancel));

        Assert.Equal("/new", Assert.Single(lab.Seen).Path);
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task DirectResponse_NoServerIsAsked(Protocol protocol)
    {
        await using var lab = await ProtocolLab.StartAsync(protocol);
        lab.Serve(new RouteAction.DirectResponse(503, "closed"));

        Assert.Equal(Got.Unavailable, await lab.CallAsync(Cancel));

        Assert.Equal(0, lab.Requests);
        await DecidedAsync(lab, Decisions.DirectResponse, "503");
    }

    private static RetryPolicy Retry(RetryOn on) => new(on, on == RetryOn.None ? 0 : 2, null, TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(2), []);

    /// <summary>Once in the metric, once on a span; a span ends with its response, which may be a moment after the app has it.</summary>
    private static async Task DecidedAsync(ProtocolLab lab, string decision, string reason)
    {
        Assert.True(lab.Decided(decision, reason) == 1, $"{decision}:{reason} is not among: {lab.What}");
        await Eventually.Async(() => lab.OnSpans(decision, reason) == 1, $"{decision} is on the span");
    }
}
