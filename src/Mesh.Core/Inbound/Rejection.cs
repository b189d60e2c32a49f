using Mesh.Jwt;
using Mesh.Telemetry;

namespace Mesh.Inbound;

/// <summary>Why a request is not what may be served at all, and what it is answered: the one place where that becomes a status. Callers learn no more than that.</summary>
/// <param name="Code">For the header <c>mesh-error</c>.</param>
/// <param name="Decision">One of <see cref="Decisions"/>.</param>
/// <param name="Reason">For metrics, span and log: a bounded word.</param>
/// <param name="Message">For people.</param>
/// <param name="Challenge">Of <c>WWW-Authenticate</c>; null is none.</param>
internal sealed record Rejection(string Code, int HttpStatus, int GrpcStatus, string Decision, string Reason, string Message, string? Challenge)
{
    private const int InvalidArgument = 3;
    private const int GrpcUnauthenticated = 16;

    // RFC 6750 §3.1: a request without a token learns the scheme, and nothing of an error.
    private static readonly Rejection[] _tokens =
    [
        .. Enum.GetValues<TokenFault>().Select(f => new Rejection(
            "Unauthenticated", 401, GrpcUnauthenticated, Decisions.Unauthenticated, f.Word(),
            f == TokenFault.Missing ? "mesh: a bearer token is needed" : "mesh: the bearer token is not valid",
            f == TokenFault.Missing ? "Bearer" : "Bearer error=\"invalid_token\"")),
    ];

    public static Rejection Of(TokenFault fault) => _tokens[(int)fault];

    /// <param name="what">What of it means more than one thing: <c>path</c>, <c>host</c>, <c>method</c>.</param>
    public static Rejection Ambiguous(string what) => new("BadRequest", 400, InvalidArgument, Decisions.Ambiguous, what, $"mesh: the request's {what} can be read in more than one way", null);
}
