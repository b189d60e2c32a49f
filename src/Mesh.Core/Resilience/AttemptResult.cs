namespace Mesh.Resilience;

/// <summary>How one attempt ended, as far as the decision to try again needs it.</summary>
/// <param name="HttpStatus">0 when there was no response.</param>
/// <param name="GrpcStatus">The status of a trailers-only gRPC response; -1 when there is none (yet).</param>
internal readonly record struct AttemptResult(AttemptEnd End, int HttpStatus = 0, int GrpcStatus = -1)
{
    /// <summary>Counts against the endpoint and as a failed attempt: 5xx, gRPC server errors, no answer.</summary>
    public bool IsFailure => End switch
    {
        AttemptEnd.Response => HttpStatus >= 500 || IsGrpcFailure(GrpcStatus),
        AttemptEnd.Cancelled => false,
        _ => true,
    };

    /// <summary>The gRPC codes that say that the server, not the caller, is at fault: DEADLINE_EXCEEDED, INTERNAL, PERMISSION_DENIED, UNAVAILABLE, DATA_LOSS, UNKNOWN (as Linkerd classifies them).</summary>
    public static bool IsGrpcFailure(int status) => status is 2 or 4 or 7 or 13 or 14 or 15;
}

/// <summary>What came of an attempt.</summary>
internal enum AttemptEnd
{
    /// <summary>Response headers arrived.</summary>
    Response,

    /// <summary>No connection: nothing was sent.</summary>
    ConnectFailure,

    /// <summary>The server says that it has not looked at it (HTTP/2 REFUSED_STREAM, GOAWAY), or the connection went away before anything was sent.</summary>
    Refused,

    /// <summary>The connection broke; the request may have arrived.</summary>
    Reset,

    /// <summary>No response headers in time; the request may have arrived.</summary>
    Timeout,

    /// <summary>The caller gave up.</summary>
    Cancelled,

    /// <summary>Not sent: too many calls in flight.</summary>
    Overloaded,

    /// <summary>Not sent: no healthy endpoint.</summary>
    NoEndpoint,
}
