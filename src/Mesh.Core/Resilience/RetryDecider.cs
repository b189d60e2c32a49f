using Mesh.Config;

namespace Mesh.Resilience;

/// <summary>Decides whether an attempt may be made again. Pure.</summary>
internal static class RetryDecider
{
    /// <summary>What is tried again where a route says nothing: only what is safe, twice.</summary>
    public static RetryPolicy Default { get; } = new(
        RetryOn.ConnectFailure | RetryOn.RefusedStream | RetryOn.Reset | RetryOn.GatewayError,
        NumRetries: 2, PerTryTimeout: null, TimeSpan.FromMilliseconds(25), TimeSpan.FromMilliseconds(250), []);

    /// <summary>RFC 9110 §9.2.2: doing it twice is the same as doing it once.</summary>
    public static bool IsIdempotent(HttpMethod method) =>
        method == HttpMethod.Get || method == HttpMethod.Head || method == HttpMethod.Put || method == HttpMethod.Delete
        || method == HttpMethod.Options || method == HttpMethod.Trace;

    /// <param name="idempotent">See <see cref="IsIdempotent"/>; gRPC calls never are.</param>
    /// <param name="headerMatches">The response has one of the policy's <see cref="RetryPolicy.RetriableHeaders"/>.</param>
    public static bool ShouldRetry(RetryPolicy policy, AttemptResult result, bool idempotent, bool headerMatches = false) => result.End switch
    {
        // Nothing reached a server: safe for every method.
        AttemptEnd.ConnectFailure => Has(policy, RetryOn.ConnectFailure | RetryOn.ResetBeforeRequest | RetryOn.GatewayError | RetryOn.ServerError | RetryOn.Reset | RetryOn.GrpcUnavailable),
        AttemptEnd.Refused => Has(policy, RetryOn.RefusedStream | RetryOn.ResetBeforeRequest | RetryOn.Reset | RetryOn.GatewayError | RetryOn.ServerError | RetryOn.GrpcUnavailable),

        // It may have been done: only what may be done twice.
        AttemptEnd.Reset => idempotent && Has(policy, RetryOn.Reset | RetryOn.GatewayError | RetryOn.ServerError),
        AttemptEnd.Timeout => idempotent && Has(policy, RetryOn.Reset | RetryOn.GatewayError | RetryOn.ServerError),
        AttemptEnd.Response => (idempotent && (OnHeader(policy, headerMatches) || OnStatus(policy, result.HttpStatus)))
            || (result.GrpcStatus > 0 && (OnHeader(policy, headerMatches) || OnGrpcStatus(policy, result.GrpcStatus))),
        _ => false,
    };

    private static bool OnHeader(RetryPolicy policy, bool matches) => matches && Has(policy, RetryOn.RetriableHeaders);

    private static bool OnStatus(RetryPolicy policy, int status)
    {
        if ((status == 409 && Has(policy, RetryOn.Retriable4xx)) || (status >= 500 && Has(policy, RetryOn.ServerError)) || (status is 502 or 503 or 504 && Has(policy, RetryOn.GatewayError)))
        {
            return true;
        }

        if (Has(policy, RetryOn.RetriableStatusCodes))
        {
            for (var i = 0; i < policy.RetriableStatusCodes.Count; i++)
            {
                if (policy.RetriableStatusCodes[i] == status)
                {
                    return true;
                }
            }
        }

        return false;
    }

    // The server itself answered so before sending anything else, and the policy's author named the status (gRFC A44).
    private static bool OnGrpcStatus(RetryPolicy policy, int status) => status switch
    {
        1 => Has(policy, RetryOn.GrpcCancelled),
        4 => Has(policy, RetryOn.GrpcDeadlineExceeded),
        8 => Has(policy, RetryOn.GrpcResourceExhausted),
        13 => Has(policy, RetryOn.GrpcInternal),
        14 => Has(policy, RetryOn.GrpcUnavailable),
        _ => false,
    };

    private static bool Has(RetryPolicy policy, RetryOn any) => (policy.On & any) != 0;
}
