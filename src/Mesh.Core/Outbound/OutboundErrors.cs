using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text;

namespace Mesh.Outbound;

/// <summary>Why the mesh itself ended a call.</summary>
internal enum MeshErrorCode
{
    NoConfiguration,
    NoIdentity,
    NoRoute,
    NotForwarding,
    NoHealthyEndpoint,
    Overloaded,

    /// <summary>The control plane wants this share of the calls dropped.</summary>
    Dropped,
    TimedOut,

    /// <summary>The deadline of the request that is being served is over.</summary>
    DeadlineExceeded,

    /// <summary>On purpose (fault injection).</summary>
    FaultInjected,
}

/// <summary>Failure to answer, in one place: HTTP status for HTTP, trailers-only status for gRPC.</summary>
internal static class OutboundErrors
{
    /// <summary>The header that tells an answer of the mesh from one of a server.</summary>
    public const string Header = "mesh-error";

    public static HttpResponseMessage Respond(HttpRequestMessage request, bool grpc, MeshErrorCode code, string detail)
    {
        var (status, grpcStatus) = code switch
        {
            MeshErrorCode.TimedOut or MeshErrorCode.DeadlineExceeded => (504, 4),
            MeshErrorCode.NoRoute => (404, 14),
            MeshErrorCode.NotForwarding => (500, 14),
            _ => (503, 14),
        };
        var response = grpc ? Grpc(request, grpcStatus, detail) : Http(request, status, detail);
        response.Headers.TryAddWithoutValidation(Header, code.ToString());
        return response;
    }

    /// <summary>An answer of an edge's own, in the words of the call's protocol.</summary>
    public static HttpResponseMessage Own(HttpRequestMessage request, bool grpc, int status, int grpcStatus, string reason, string text)
    {
        var response = grpc ? Grpc(request, grpcStatus, text) : Http(request, status, $"mesh: {text}\n");
        response.Headers.TryAddWithoutValidation(Header, reason);
        return response;
    }

    /// <summary>A route's own answer.</summary>
    public static HttpResponseMessage Direct(HttpRequestMessage request, bool grpc, int status, string body) =>
        grpc ? Grpc(request, GrpcOf(status), body) : Http(request, status, body);

    /// <summary>A call that is failed on purpose, in the words of its protocol; at least one status is given.</summary>
    public static HttpResponseMessage Fault(HttpRequestMessage request, bool grpc, int? status, int? grpcStatus)
    {
        const string Text = "The call was failed on purpose (fault injection).";
        var response = grpc ? Grpc(request, grpcStatus ?? GrpcOf(status ?? 500), Text) : Http(request, status ?? HttpOf(grpcStatus ?? 2), Text);
        response.Headers.TryAddWithoutValidation(Header, nameof(MeshErrorCode.FaultInjected));
        return response;
    }

    /// <summary>An answer that leads elsewhere.</summary>
    public static HttpResponseMessage Redirect(HttpRequestMessage request, int status, Uri location)
    {
        var response = Http(request, status, string.Empty);
        response.Headers.Location = location;
        return response;
    }

    /// <summary>The gRPC status among headers or trailers; -1 when there is none.</summary>
    public static int GrpcStatus(HttpHeaders headers) =>
        headers.NonValidated.TryGetValues("grpc-status", out var value)
        && int.TryParse(value.ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var status) ? status : -1;

    private static HttpResponseMessage Http(HttpRequestMessage request, int status, string text) => new((HttpStatusCode)status)
    {
        RequestMessage = request,
        Version = request.Version,
        Content = new StringContent(text),
    };

    private static HttpResponseMessage Grpc(HttpRequestMessage request, int status, string message)
    {
        var response = new HttpResponseMessage(HttpStatusCode.OK)
        {
            RequestMessage = request,
            Version = HttpVersion.Version20,
            Content = new ByteArrayContent([]),
        };
        response.Content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc");
        response.Headers.TryAddWithoutValidation("grpc-status", status.ToString(CultureInfo.InvariantCulture));
        response.Headers.TryAddWithoutValidation("grpc-message", PercentEncode(message));
        return response;
    }

    /// <summary>gRPC over HTTP/2, "Status-Message": all but printable ASCII, and the percent sign, is percent-encoded.</summary>
    private static string PercentEncode(string text)
    {
        var encoded = new StringBuilder(text.Length);
        foreach (var b in Encoding.UTF8.GetBytes(text))
        {
            _ = b is >= 0x20 and <= 0x7e and not (byte)'%' ? encoded.Append((char)b) : encoded.Append(CultureInfo.InvariantCulture, $"%{b:X2}");
        }

        return encoded.ToString();
    }

    // grpc/doc/http-grpc-status-mapping: what a client makes of an HTTP status.
    private static int GrpcOf(int status) => status switch
    {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 or 502 or 503 or 504 => 14,
        _ => 2,
    };

    // google.rpc.Code: what an HTTP client sees of a gRPC status.
    private static int HttpOf(int grpcStatus) => grpcStatus switch
    {
        0 => 200,
        1 => 499,
        3 or 9 or 11 => 400,
        4 => 504,
        5 => 404,
        6 or 10 => 409,
        7 => 403,
        8 => 429,
        12 => 501,
        14 => 503,
        16 => 401,
        _ => 500,
    };
}
