using Mesh.Traffic;

namespace Mesh.Outbound;

/// <summary>How the deadline of the request being served bounds a call and travels on with it.</summary>
internal static class OutboundDeadline
{
    private static readonly string[] GrpcHeaders = [DeadlineHeaders.Grpc];
    private static readonly string[] HttpHeaders = [DeadlineHeaders.Envoy, DeadlineHeaders.Http];

    /// <summary>Those that <see cref="TrySendOn"/> writes.</summary>
    public static string[] Headers(bool grpc) => grpc ? GrpcHeaders : HttpHeaders;

    /// <summary>Writes what is left into the attempt's headers, unless the app itself asks for less. False when nothing is left.</summary>
    public static bool TrySendOn(Deadline deadline, HttpRequestMessage request, bool grpc)
    {
        var left = deadline.Left;
        if (deadline.IsOver)
        {
            return false;
        }

        var headers = request.Headers;
        if (grpc)
        {
            if (!(Single(request, DeadlineHeaders.Grpc) is { } own && DeadlineHeaders.TryParseGrpc(own, out var asked) && asked <= left))
            {
                Set(headers, DeadlineHeaders.Grpc, DeadlineHeaders.FormatGrpc(left));
            }

            return true;
        }

        if (!(Single(request, DeadlineHeaders.Envoy) is { } envoy && DeadlineHeaders.TryParseEnvoy(envoy, out var shorter) && shorter <= left))
        {
            Set(headers, DeadlineHeaders.Envoy, DeadlineHeaders.FormatEnvoy(left));
        }

        if (!(Single(request, DeadlineHeaders.Http) is { } ours && DeadlineHeaders.TryParseHttp(ours, out shorter) && shorter <= left))
        {
            Set(headers, DeadlineHeaders.Http, DeadlineHeaders.FormatHttp(left));
        }

        return true;
    }

    /// <summary>What the call has left: the shorter of its route's timeout and the deadline; null without either.</summary>
    public static TimeSpan? Left(OutboundCall call, TimeSpan? timeout)
    {
        TimeSpan? left = timeout is null ? null : timeout - call.Pipeline.Time.GetElapsedTime(call.Start);
        return call.Deadline is { } deadline && !(left <= deadline.Left) ? deadline.Left : left;
    }

    private static string? Single(HttpRequestMessage request, string name) =>
        request.Headers.NonValidated.TryGetValues(name, out var values) && values.Count == 1 ? values.ToString() : null;

    private static void Set(System.Net.Http.Headers.HttpRequestHeaders headers, string name, string value)
    {
        headers.Remove(name);
        headers.TryAddWithoutValidation(name, value);
    }
}
