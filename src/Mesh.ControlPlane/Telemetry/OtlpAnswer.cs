using System.Net;
using System.Net.Http.Headers;
using Google.Protobuf;
using Grpc.Core;
using Mesh.Protos.Otlp;
using Mesh.Protos.Rpc;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>What came of giving a message on, in the protocol's terms.</summary>
internal enum OtlpVerdict
{
    /// <summary>It has it, perhaps but for some points; not to be sent again in any case.</summary>
    Taken,

    /// <summary>It may be sent again.</summary>
    Later,

    /// <summary>What is in it is not taken: sent again it would end the same.</summary>
    Refused,

    /// <summary>Nothing is taken of us, whatever is in it.</summary>
    Never,
}

/// <summary>A collector's answer.</summary>
/// <param name="Problem">Null when all of it was taken without a word.</param>
/// <param name="Rejected">Points or spans that it did not take of a message that it took.</param>
/// <param name="RetryAfter">How long it wants to be left alone.</param>
internal readonly record struct OtlpAnswer(OtlpVerdict Verdict, string? Problem = null, long Rejected = 0, TimeSpan? RetryAfter = null)
{
    private const string DetailsTrailer = "grpc-status-details-bin";
    private const int MostText = 200;

    /// <summary>Of a message that was taken: what the response says (OTLP §"Partial Success").</summary>
    public static OtlpAnswer Of(OtlpSignal signal, ReadOnlySpan<byte> response)
    {
        try
        {
            var (rejected, problem) = signal == OtlpSignal.Traces
                ? ExportTraceServiceResponse.Parser.ParseFrom(response).PartialSuccess is { } spans ? (spans.RejectedSpans, spans.ErrorMessage) : (0, string.Empty)
                : ExportMetricsServiceResponse.Parser.ParseFrom(response).PartialSuccess is { } points ? (points.RejectedDataPoints, points.ErrorMessage) : (0, string.Empty);
            return new(OtlpVerdict.Taken, problem.Length > 0 ? Cut(problem) : rejected > 0 ? "it does not say why" : null, Math.Max(0, rejected));
        }
        catch (InvalidProtocolBufferException)
        {
            // It said that it took it; what it says beside is not needed.
            return default;
        }
    }

    /// <summary>Of a call that failed (OTLP/gRPC §"Failures").</summary>
    public static OtlpAnswer Of(RpcException e)
    {
        var wait = WaitOf(e.Trailers.GetValueBytes(DetailsTrailer));
        var verdict = e.StatusCode switch
        {
            StatusCode.Cancelled or StatusCode.DeadlineExceeded or StatusCode.Aborted or StatusCode.OutOfRange or StatusCode.Unavailable or StatusCode.DataLoss => OtlpVerdict.Later,
            // Too much at the moment if it says when to come back, else too large.
            StatusCode.ResourceExhausted when wait is not null => OtlpVerdict.Later,
            StatusCode.ResourceExhausted or StatusCode.InvalidArgument or StatusCode.FailedPrecondition => OtlpVerdict.Refused,
            _ => OtlpVerdict.Never,
        };
        return new(verdict, Cut($"{e.StatusCode}: {e.Status.Detail}"), RetryAfter: wait);
    }

    /// <summary>Of an HTTP response that is no success (OTLP/HTTP §"Failures").</summary>
    /// <param name="body">What came of it; a <c>google.rpc.Status</c>, if it holds to the protocol.</param>
    public static OtlpAnswer Of(HttpStatusCode status, RetryConditionHeaderValue? after, ReadOnlySpan<byte> body, DateTimeOffset now)
    {
        var verdict = (int)status switch
        {
            429 or 502 or 503 or 504 => OtlpVerdict.Later,
            400 or 413 or 422 => OtlpVerdict.Refused,
            _ => OtlpVerdict.Never,
        };
        return new(verdict, Cut($"it answered {(int)status}{Words(body)}"), RetryAfter: after?.Delta ?? (after?.Date is { } date && date > now ? date - now : null));
    }

    private static TimeSpan? WaitOf(byte[]? details)
    {
        try
        {
            var info = details is null ? null : Protos.Rpc.Status.Parser.ParseFrom(details).Details.FirstOrDefault(d => d.TypeUrl.EndsWith("/google.rpc.RetryInfo", StringComparison.Ordinal));
            return info is not null && RetryInfo.Parser.ParseFrom(info.Value).RetryDelay is { } delay ? delay.ToTimeSpan() : null;
        }
        catch (Exception e) when (e is InvalidProtocolBufferException or InvalidOperationException or OverflowException)
        {
            return null;
        }
    }

    private static string Words(ReadOnlySpan<byte> body)
    {
        try
        {
            return Protos.Rpc.Status.Parser.ParseFrom(body).Message is { Length: > 0 } message ? $": {message}" : string.Empty;
        }
        catch (InvalidProtocolBufferException)
        {
            return string.Empty;
        }
    }

    private static string Cut(string text) => text.Length <= MostText ? text : text[..MostText] + "…";
}
