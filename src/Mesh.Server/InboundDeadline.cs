using System.Globalization;
using Mesh.Outbound;
using Mesh.Traffic;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Mesh.Server;

/// <summary>What a request says of its deadline, and the answer when it is over.</summary>
internal static class InboundDeadline
{
    private const string OverMessage = "mesh: the caller's deadline is over";

    private delegate bool Parser(ReadOnlySpan<char> value, out TimeSpan timeout);

    /// <summary>The shortest of the valid headers: it is taken from every caller, because it can only shorten the caller's own request. Null when there is none.</summary>
    /// <param name="ignored">The first header that is not valid, as <c>name: value</c>, shortened.</param>
    public static TimeSpan? Read(HttpRequest request, out string? ignored)
    {
        TimeSpan? shortest = null;
        ignored = null;
        if (IsGrpc(request))
        {
            Read(request, DeadlineHeaders.Grpc, DeadlineHeaders.TryParseGrpc, ref shortest, ref ignored);
        }

        Read(request, DeadlineHeaders.Envoy, DeadlineHeaders.TryParseEnvoy, ref shortest, ref ignored);
        Read(request, DeadlineHeaders.Http, DeadlineHeaders.TryParseHttp, ref shortest, ref ignored);
        return shortest;
    }

    public static bool IsGrpc(HttpRequest request) =>
        request.ContentType is { } type && type.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase)
        && !type.StartsWith("application/grpc-web", StringComparison.OrdinalIgnoreCase);

    /// <summary>The app came to an end of its own, in time or not: such an answer stands.</summary>
    public static bool HasGoodAnswer(HttpResponse response) =>
        response.StatusCode < 400 && !(response.Headers.TryGetValue("grpc-status", out var status) && status != "0");

    /// <summary>Nothing was sent yet: 504, for gRPC DEADLINE_EXCEEDED.</summary>
    public static Task AnswerAsync(HttpContext context)
    {
        var response = context.Response;
        response.Clear();
        response.Headers[OutboundErrors.Header] = nameof(MeshErrorCode.DeadlineExceeded);
        if (IsGrpc(context.Request))
        {
            response.ContentType = "application/grpc";
            response.Headers["grpc-status"] = "4";
            response.Headers["grpc-message"] = OverMessage;
            return Task.CompletedTask;
        }

        response.StatusCode = StatusCodes.Status504GatewayTimeout;
        response.ContentType = "text/plain; charset=utf-8";
        return response.WriteAsync("mesh: the caller's deadline is over\n", CancellationToken.None);
    }

    /// <summary>Ends a gRPC response that has begun with DEADLINE_EXCEEDED, also where the app made another failure of it; false when there is nothing to end so.</summary>
    /// <param name="unanswered">The app ended without a status.</param>
    public static bool TryEndGrpc(HttpContext context, bool unanswered)
    {
        if (!IsGrpc(context.Request) || context.Features.Get<IHttpResponseTrailersFeature>()?.Trailers is not { IsReadOnly: false } trailers)
        {
            return false;
        }

        if (!unanswered && (!trailers.TryGetValue("grpc-status", out var status) || status == "0"))
        {
            return false;
        }

        trailers["grpc-status"] = "4";
        trailers["grpc-message"] = OverMessage;
        return true;
    }

    private static void Read(HttpRequest request, string name, Parser parse, ref TimeSpan? shortest, ref string? ignored)
    {
        if (!request.Headers.TryGetValue(name, out var values))
        {
            return;
        }

        if (values is not [{ } value] || !parse(value, out var timeout))
        {
            var seen = values.ToString();
            ignored ??= string.Create(CultureInfo.InvariantCulture, $"{name}: {(seen.Length > 40 ? seen[..40] : seen)}");
        }
        else if (shortest is null || timeout < shortest)
        {
            shortest = timeout;
        }
    }
}
