using Mesh.Resilience;

namespace Mesh.Outbound;

/// <summary>Reads out of an exception of an attempt what it means for the next one.</summary>
internal static class AttemptFailures
{
    // RFC 9113 §7: the stream was refused before any processing.
    private const long RefusedStream = 0x7;

    /// <param name="givenUp">The caller gave up, or another attempt was first; a cancelled attempt that nobody gave up has timed out.</param>
    /// <param name="bodyUntouched">There is a body, and nobody asked for it: a body is asked for as soon as the head was written, so the connection was gone before that.</param>
    public static AttemptEnd Classify(Exception exception, bool givenUp, bool bodyUntouched)
    {
        for (var e = exception; e is not null; e = e.InnerException)
        {
            switch (e)
            {
                case ConnectionLimitException:
                    return AttemptEnd.Overloaded;
                case EndpointConnectException:
                    return AttemptEnd.ConnectFailure;
                case HttpProtocolException { ErrorCode: RefusedStream }:
                    return AttemptEnd.Refused;
                case OperationCanceledException when ReferenceEquals(e, exception):
                    return givenUp ? AttemptEnd.Cancelled : AttemptEnd.Timeout;
            }
        }

        // Anything else is the request's own fault (its content threw, it is malformed), not the endpoint's.
        return givenUp || exception is not (HttpRequestException or IOException) ? AttemptEnd.Cancelled
            : bodyUntouched ? AttemptEnd.Refused
            : AttemptEnd.Reset;
    }
}
