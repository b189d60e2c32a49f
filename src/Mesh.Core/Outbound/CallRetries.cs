using System.Globalization;
using Mesh.Config;
using Mesh.Resilience;
using Mesh.Telemetry;
using Mesh.Traffic;

namespace Mesh.Outbound;

/// <summary>Whether and when a call is attempted again. Tells what it decided.</summary>
internal static class CallRetries
{
    /// <summary>The policy wants another attempt after the latest one. Asks nothing of body, time and budget: <see cref="TryBegin"/> does.</summary>
    /// <param name="response">Of the latest attempt; null when it had none.</param>
    /// <param name="mayBeDoneTwice">By its method, or because the route says so.</param>
    public static bool Wants(RetryPolicy policy, OutboundCall call, HttpResponseMessage? response, bool mayBeDoneTwice) =>
        !call.Token.IsCancellationRequested && !call.IsOverdue
        && RetryDecider.ShouldRetry(policy, call.Last, mayBeDoneTwice, response is not null && HasRetriableHeader(policy, response))
        && IsRetriableRequest(policy, call.Request);

    /// <summary>Takes another attempt out of the budget, unless body, time or server are against it.</summary>
    /// <param name="backoff">The policy's; what the server asks for replaces it (gRFC A6).</param>
    /// <param name="timeout">The route's.</param>
    /// <param name="canReplay">The body can be sent again.</param>
    /// <param name="decision">What it is called when it is done.</param>
    /// <param name="reason">Why.</param>
    /// <param name="delay">To wait before.</param>
    public static bool TryBegin(
        OutboundCall call, HttpResponseMessage? response, TimeSpan backoff, TimeSpan? timeout, bool canReplay, string decision, string reason, out TimeSpan delay)
    {
        var pipeline = call.Pipeline;
        var hint = response is null ? default : RetryHint.Read(response, call.Last, pipeline.Time.GetUtcNow());
        delay = hint.Delay ?? backoff;
        var longest = Left(call, timeout) ?? (hint.Delay is null ? TimeSpan.MaxValue : RetryHint.Longest);
        var suppressed = hint.Never ? "pushback"
            : !canReplay ? "body"
            : delay >= longest ? "deadline"
            : !call.Cluster!.Budget.TryTake(pipeline.Time.GetTimestamp()) ? "budget"
            : null;
        pipeline.Telemetry.Decide(call, suppressed is null ? decision : Decisions.RetrySuppressed, suppressed ?? reason);
        return suppressed is null;
    }

    /// <summary>How an attempt failed, in a word.</summary>
    public static string Reason(AttemptResult result) => result.End switch
    {
        AttemptEnd.Response when result.GrpcStatus > 0 => "grpc_" + result.GrpcStatus.ToString(CultureInfo.InvariantCulture),
        AttemptEnd.Response => result.HttpStatus.ToString(CultureInfo.InvariantCulture),
        AttemptEnd.ConnectFailure => "connect_failure",
        AttemptEnd.Refused => "refused",
        AttemptEnd.Timeout => "timeout",
        _ => "reset",
    };

    /// <summary>What the call has left by route, by the request being served, and by its own <c>grpc-timeout</c>; null without any.</summary>
    private static TimeSpan? Left(OutboundCall call, TimeSpan? timeout)
    {
        if (call.IsGrpc && call.Request.Headers.NonValidated.TryGetValues(DeadlineHeaders.Grpc, out var given)
            && DeadlineHeaders.TryParseGrpc(given.ToString(), out var own) && !(timeout <= own))
        {
            timeout = own;
        }

        return OutboundDeadline.Left(call, timeout);
    }

    private static bool HasRetriableHeader(RetryPolicy policy, HttpResponseMessage response)
    {
        if ((policy.On & RetryOn.RetriableHeaders) == 0)
        {
            return false;
        }

        for (var i = 0; i < policy.RetriableHeaders.Count; i++)
        {
            var matcher = policy.RetriableHeaders[i];
            var value = matcher.Name == ":status" ? ((int)response.StatusCode).ToString(CultureInfo.InvariantCulture)
                : response.Headers.NonValidated.TryGetValues(matcher.Name, out var values) || response.Content.Headers.NonValidated.TryGetValues(matcher.Name, out values)
                    ? values.Count == 1 ? values.ToString() : string.Join(',', values)
                    : null;
            if (matcher.MatchesValue(value))
            {
                return true;
            }
        }

        return false;
    }

    private static bool IsRetriableRequest(RetryPolicy policy, HttpRequestMessage request)
    {
        if (policy.RetriableRequestHeaders.Count == 0)
        {
            return true;
        }

        var head = new HttpRequestMessageHead(request);
        for (var i = 0; i < policy.RetriableRequestHeaders.Count; i++)
        {
            if (policy.RetriableRequestHeaders[i].Matches(head))
            {
                return true;
            }
        }

        return false;
    }
}
