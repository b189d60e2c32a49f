using System.Globalization;
using Mesh.Resilience;

namespace Mesh.Outbound;

/// <summary>When a server that had enough wants to be asked again: <c>Retry-After</c> (RFC 9110 §10.2.3) or <c>grpc-retry-pushback-ms</c> (gRFC A6).</summary>
/// <param name="Delay">Not before; null when it did not say.</param>
/// <param name="Never">It wants no other attempt of this call.</param>
internal readonly record struct RetryHint(TimeSpan? Delay, bool Never)
{
    public const string Pushback = "grpc-retry-pushback-ms";

    /// <summary>Nobody is waited for, or left alone, longer because of a hint.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromSeconds(30);

    /// <summary>How long an endpoint that gave no hint is left alone, on average.</summary>
    private static readonly TimeSpan Usual = TimeSpan.FromSeconds(1);

    /// <param name="now">For hints that are dates.</param>
    public static RetryHint Read(HttpResponseMessage response, AttemptResult result, DateTimeOffset now)
    {
        if (result.GrpcStatus > 0
            && (response.Headers.NonValidated.TryGetValues(Pushback, out var pushback) || response.TrailingHeaders.NonValidated.TryGetValues(Pushback, out pushback)))
        {
            // gRFC A6: what is no number counts as "no".
            return int.TryParse(pushback.ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var milliseconds)
                ? new RetryHint(TimeSpan.FromMilliseconds(milliseconds), false)
                : new RetryHint(null, true);
        }

        if (result.HttpStatus is not (429 or 503) || response.Headers.RetryAfter is not { } after)
        {
            return default;
        }

        var delay = after.Delta ?? (after.Date - now);
        return new RetryHint(delay < TimeSpan.Zero ? TimeSpan.Zero : delay, false);
    }

    /// <summary>How long to leave the endpoint alone that answered so; null is not at all.</summary>
    public TimeSpan? Rest(AttemptResult result, Random random)
    {
        var overloaded = result.HttpStatus == 429 || result.GrpcStatus == 8;
        if (!overloaded && !(Delay > TimeSpan.Zero && (result.HttpStatus == 503 || result.GrpcStatus == 14)))
        {
            return null;
        }

        // Jitter, so that not all callers come back at once.
        var rest = Delay ?? (Usual * (0.5 + random.NextDouble()));
        return rest < Longest ? rest : Longest;
    }
}
