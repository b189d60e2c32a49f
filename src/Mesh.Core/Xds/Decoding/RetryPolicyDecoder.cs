using Google.Protobuf.Collections;
using Mesh.Config;
using Mesh.Traffic;
using Wire = Mesh.Protos.Envoy.Route;

namespace Mesh.Xds.Decoding;

/// <summary>What is tried again (gRFC A44; Envoy's words for HTTP).</summary>
internal static class RetryPolicyDecoder
{
    /// <summary>Five attempts in all, as gRFC A44 allows at most.</summary>
    private const int MaxRetries = 4;

    private static readonly TimeSpan DefaultBase = TimeSpan.FromMilliseconds(25);
    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(1);

    /// <returns>Null when nothing is said. A policy without a condition that we know says that nothing is tried again, not that the default holds.</returns>
    public static RetryPolicy? Decode(Wire.RetryPolicy? given, string path, DecodeErrors errors)
    {
        if (given is null)
        {
            return null;
        }

        var on = RetryOn.None;
        foreach (var word in given.RetryOn.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            on |= Word(word.ToLowerInvariant());
        }

        if (given.NumRetries == 0)
        {
            errors.Add($"{path}.num_retries", "is 0", "Use 1 or more, or leave the policy out.");
        }

        for (var i = 0; i < given.RetriableStatusCodes.Count; i++)
        {
            if (given.RetriableStatusCodes[i] is < 100 or > 599)
            {
                errors.Add($"{path}.retriable_status_codes[{i}]", $"is {given.RetriableStatusCodes[i]}", "Use 100–599.");
            }
        }

        var perTry = errors.Time(given.PerTryTimeout, $"{path}.per_try_timeout");
        var (first, longest) = Backoff(given.RetryBackOff, $"{path}.retry_back_off", errors);
        var retries = on == RetryOn.None ? 0 : (int)Math.Min(given.NumRetries ?? 1, MaxRetries);
        var headers = Headers(given.RetriableHeaders, $"{path}.retriable_headers", errors);
        var requests = Headers(given.RetriableRequestHeaders, $"{path}.retriable_request_headers", errors);
        return new RetryPolicy(
            on, retries, perTry > TimeSpan.Zero ? perTry : null, first, longest, [.. given.RetriableStatusCodes.Select(code => (int)Math.Min(code, 599))])
        {
            RetriableHeaders = headers,
            RetriableRequestHeaders = requests,
        };
    }

    private static List<HeaderMatcher> Headers(RepeatedField<Wire.HeaderMatcher> given, string path, DecodeErrors errors)
    {
        var headers = new List<HeaderMatcher>(given.Count);
        for (var i = 0; i < given.Count; i++)
        {
            if (MatcherDecoder.Header(given[i], $"{path}[{i}]", errors) is { } header)
            {
                headers.Add(header);
            }
        }

        return headers;
    }

    private static (TimeSpan First, TimeSpan Longest) Backoff(Wire.RetryPolicy.Types.RetryBackOff? given, string path, DecodeErrors errors)
    {
        if (given is null)
        {
            return (DefaultBase, DefaultBase * 10);
        }

        if (given.BaseInterval is null)
        {
            errors.Add($"{path}.base_interval", "is not set", "Give the first waiting time, such as 25 ms.");
        }

        var first = errors.Time(given.BaseInterval, $"{path}.base_interval") ?? DefaultBase;
        first = first < Shortest ? Shortest : first;
        var longest = errors.Time(given.MaxInterval, $"{path}.max_interval") ?? (first > TimeSpan.MaxValue / 10 ? TimeSpan.MaxValue : first * 10);
        longest = longest < Shortest ? Shortest : longest;
        if (longest < first)
        {
            errors.Add($"{path}.max_interval", $"is {longest}, shorter than base_interval {first}", "Use base_interval or more.");
        }

        return (first, longest);
    }

    private static RetryOn Word(string word) => word switch
    {
        "5xx" => RetryOn.ServerError,
        "gateway-error" => RetryOn.GatewayError,
        "reset" => RetryOn.Reset,
        "connect-failure" => RetryOn.ConnectFailure,
        "refused-stream" => RetryOn.RefusedStream,
        "reset-before-request" => RetryOn.ResetBeforeRequest,
        "retriable-4xx" => RetryOn.Retriable4xx,
        "retriable-headers" => RetryOn.RetriableHeaders,
        "retriable-status-codes" => RetryOn.RetriableStatusCodes,
        "cancelled" => RetryOn.GrpcCancelled,
        "deadline-exceeded" => RetryOn.GrpcDeadlineExceeded,
        "internal" => RetryOn.GrpcInternal,
        "resource-exhausted" => RetryOn.GrpcResourceExhausted,
        "unavailable" => RetryOn.GrpcUnavailable,
        _ => RetryOn.None, // words of other proxies: gRFC A44 ignores them
    };
}
