using Google.Protobuf.WellKnownTypes;
using Mesh.ControlPlane.Model;
using Mesh.Protos.Envoy.Route;

namespace Mesh.ControlPlane.Translation;

/// <summary>Writes timeouts and retries of a forwarding route.</summary>
internal static class RetryTranslator
{
    /// <summary>What is safe to try again, or told by a gateway that the server did not do it; gRPC peers ignore words that they do not know.</summary>
    private const string Connection = "connect-failure,refused-stream,reset";
    private const string DefaultOn = Connection + ",gateway-error";
    private const uint DefaultRetries = 2;
    private static readonly TimeSpan DefaultBase = TimeSpan.FromMilliseconds(25);

    /// <summary>The mesh's own: two retries, 25–250 ms apart. Whether a call may be repeated is the client's to know.</summary>
    public static RetryPolicy Default => Policy(DefaultOn, DefaultRetries, DefaultBase);

    public static void Apply(RouteAction action, RouteRule rule, bool mesh)
    {
        var timeout = rule.RequestTimeout;
        action.RetryPolicy = ForRule(rule.Retry);
        if (rule.BackendRequestTimeout is { } perTry)
        {
            if (action.RetryPolicy is { } retry)
            {
                retry.PerTryTimeout = Duration.FromTimeSpan(perTry);
            }
            else
            {
                // A single attempt: its limit is the call's.
                timeout = timeout < perTry ? timeout : perTry;
            }
        }

        if (timeout is { } limit)
        {
            action.Timeout = Duration.FromTimeSpan(limit);
            if (!mesh)
            {
                // gRPC peers read this one (gRFC A31).
                action.MaxStreamDuration = new RouteAction.Types.MaxStreamDuration { MaxStreamDuration_ = Duration.FromTimeSpan(limit) };
            }
        }
    }

    private static RetryPolicy? ForRule(RuleRetry? rule)
    {
        if (rule is null)
        {
            return Default;
        }

        if (rule.Attempts == 0)
        {
            return null;
        }

        var policy = Policy(rule.Codes.IsEmpty ? DefaultOn : Connection + ",retriable-status-codes", (uint)(rule.Attempts ?? (int)DefaultRetries), rule.Backoff ?? DefaultBase);
        policy.RetriableStatusCodes.AddRange(rule.Codes.Select(c => (uint)c));
        return policy;
    }

    private static RetryPolicy Policy(string on, uint retries, TimeSpan firstBackoff) => new()
    {
        RetryOn = on,
        NumRetries = retries,
        RetryBackOff = new RetryPolicy.Types.RetryBackOff
        {
            BaseInterval = Duration.FromTimeSpan(firstBackoff),
            MaxInterval = Duration.FromTimeSpan(firstBackoff * 10),
        },
    };
}
