using System.Globalization;
using Mesh.Resilience;
using Mesh.Telemetry;

namespace Mesh.Outbound.Steps;

/// <summary>Delays and fails calls on purpose, once per call and before any attempt (gRFC A33).</summary>
internal static class FaultStep
{
    /// <returns>The answer of a call that goes no further; null when it goes on.</returns>
    public static async ValueTask<HttpResponseMessage?> InjectAsync(OutboundCall call, FaultInjector faults)
    {
        var left = OutboundDeadline.Left(call, call.Route!.ResilienceFor(call.Limits)?.Timeout);
        InjectedFault fault;
        try
        {
            fault = await faults.InjectAsync(new HttpRequestMessageHead(call.Request), left, call.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (call.IsOverdue && !call.Cancelled.IsCancellationRequested)
        {
            // The call's own timer was a moment faster than the delay's.
            call.Delayed = call.Pipeline.Time.GetElapsedTime(call.Start);
            call.Pipeline.Telemetry.Decide(call, Decisions.FaultDelay, DelayReason(faults.DelaysByHeader));
            call.Last = new AttemptResult(AttemptEnd.Timeout);
            return Overdue(call);
        }
        catch (OperationCanceledException)
        {
            call.Commit();
            call.Pipeline.Telemetry.EndCall(call, new AttemptResult(AttemptEnd.Cancelled), 0, null);
            throw;
        }

        var telemetry = call.Pipeline.Telemetry;
        if (fault.Delay > TimeSpan.Zero)
        {
            call.Delayed = fault.Delay;
            telemetry.Decide(call, Decisions.FaultDelay, DelayReason(fault.ByHeader));
        }

        if (fault.TimeIsOver)
        {
            call.Last = new AttemptResult(AttemptEnd.Timeout);
            return Overdue(call);
        }

        if (fault.HttpStatus is null && fault.GrpcStatus is null)
        {
            return null;
        }

        var answer = OutboundErrors.Fault(call.Request, call.IsGrpc, fault.HttpStatus, fault.GrpcStatus);
        var grpcStatus = call.IsGrpc ? OutboundErrors.GrpcStatus(answer.Headers) : -1;
        telemetry.Decide(call, Decisions.FaultAbort, (call.IsGrpc ? grpcStatus : (int)answer.StatusCode).ToString(CultureInfo.InvariantCulture));
        call.Last = new AttemptResult(AttemptEnd.Response, (int)answer.StatusCode, grpcStatus);
        return answer;
    }

    private static string DelayReason(bool byHeader) => byHeader ? "header" : "fixed";

    private static HttpResponseMessage Overdue(OutboundCall call) => OutboundErrors.Respond(
        call.Request, call.IsGrpc, call.IsOverdue || call.Deadline is { IsOver: true } ? MeshErrorCode.DeadlineExceeded : MeshErrorCode.TimedOut,
        $"'{call.Request.RequestUri!.Authority}' was not asked: the call's time was over while it was delayed on purpose (fault injection).");
}
