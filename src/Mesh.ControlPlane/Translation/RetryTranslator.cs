using Google.Protobuf.WellKnownTypes;
using Mesh.ControlPlane.Model.Policies;
using Mesh.Protos.Envoy.Route;

namespace Mesh.ControlPlane.Translation;

/// <summary>Writes timeouts and retries of a forwarding route. Whether a call may be repeated is the client's to know.</summary>
internal static class RetryTranslator
{
    public static void Apply(RouteAction action, EffectiveSettings settings, bool mesh)
    {
        var timeout = settings.Get(TimeoutSettings.Request);
        action.RetryPolicy = Policy(settings);
        if (settings.Get(TimeoutSettings.Attempt) is { Ticks: > 0 } attempt)
        {
            if (action.RetryPolicy is { } retry)
            {
                retry.PerTryTimeout = Duration.FromTimeSpan(attempt);
            }
            else if (timeout == TimeSpan.Zero || attempt < timeout)
            {
                // A single attempt: its limit is the call's.
                timeout = attempt;
            }
        }

        if (mesh && action.RetryPolicy is null)
        {
            // A policy without conditions: where none stands, our clients have a default of their own.
            action.RetryPolicy = new RetryPolicy();
        }

        if (timeout > TimeSpan.Zero)
        {
            action.Timeout = Duration.FromTimeSpan(timeout);
            if (!mesh)
            {
                // gRPC peers read this one (gRFC A31).
                action.MaxStreamDuration = new RouteAction.Types.MaxStreamDuration { MaxStreamDuration_ = Duration.FromTimeSpan(timeout) };
            }
        }

        if (settings.Get(TimeoutSettings.Idle) is { Ticks: > 0 } idle)
        {
            action.IdleTimeout = Duration.FromTimeSpan(idle);
        }
    }

    /// <summary>gRPC peers ignore words that they do not know (gRFC A44).</summary>
    private static RetryPolicy? Policy(EffectiveSettings settings)
    {
        var codes = settings.Get(RetrySettings.StatusCodes);
        var headers = settings.Get(RetrySettings.Headers);
        string[] words =
        [
            .. settings.Get(RetrySettings.On),
            .. codes.IsEmpty ? (string[])[] : ["retriable-status-codes"],
            .. headers.IsEmpty ? (string[])[] : ["retriable-headers"],
        ];
        var attempts = settings.Get(RetrySettings.Attempts);
        if (attempts == 0 || words.Length == 0)
        {
            return null;
        }

        var first = settings.Get(RetrySettings.BackoffBase);
        var longest = settings.Get(RetrySettings.BackoffMax);
        var policy = new RetryPolicy
        {
            RetryOn = string.Join(',', words),
            NumRetries = (uint)attempts,
            RetryBackOff = new RetryPolicy.Types.RetryBackOff
            {
                BaseInterval = Duration.FromTimeSpan(first),
                // The two may come from different places: the base then goes before a shorter maximum.
                MaxInterval = Duration.FromTimeSpan(longest == TimeSpan.Zero ? first * 10 : longest < first ? first : longest),
            },
        };
        policy.RetriableStatusCodes.AddRange(codes.Select(c => (uint)c));
        policy.RetriableHeaders.AddRange(headers.Select(MatchTranslator.Header));
        return policy;
    }
}
