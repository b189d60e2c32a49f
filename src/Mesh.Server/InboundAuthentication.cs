using Mesh.Hosting;
using Mesh.Inbound;
using Mesh.Jwt;
using Mesh.Policy;
using Mesh.Traffic;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features.Authentication;
using Microsoft.Extensions.Logging;

namespace Mesh.Server;

/// <summary>What a request says, and who its user is, before anybody decides by it: its one meaning, then its tokens.</summary>
internal sealed partial class InboundAuthentication(MeshGate gate, InboundCounters counters, RefusalLog refusals, InboundTap tap, ILogger<InboundAuthentication> logger)
{
    /// <summary>Nothing here would look at the request.</summary>
    public bool IsIdle(InboundGuards guards) => !guards.IsGuarded && gate.AmbiguousPaths is null;

    /// <summary>The claims of the request's tokens; null when it was answered here.</summary>
    public async ValueTask<VerifiedClaims?> AuthenticateAsync(HttpContext context, MeshConnectionFeature connection, InboundGuards guards, Deadline? deadline)
    {
        var mode = gate.AmbiguousPaths ?? (guards.IsGuarded ? MeshAmbiguousRequests.Refuse : MeshAmbiguousRequests.Pass);
        if (CanonicalRequest.Apply(context, connection, guards, mode) is { } ambiguous)
        {
            await RejectAsync(context, connection, ambiguous, issuer: string.Empty).ConfigureAwait(false);
            return null;
        }

        if (guards.Authenticator is not { } authenticator)
        {
            return VerifiedClaims.None;
        }

        // Only what is verified below may be said by them, whoever calls.
        foreach (var name in authenticator.ClaimHeaders)
        {
            context.Request.Headers.Remove(name);
        }

        var judging = authenticator.AuthenticateAsync(new HttpContextHead(context.Request), gate.Chance, context.RequestAborted);
        var judged = judging.IsCompletedSuccessfully ? await judging.ConfigureAwait(false) : await WaitAsync(context, judging.AsTask(), deadline).ConfigureAwait(false);
        if (judged is null)
        {
            return null;
        }

        if (judged.Fault != TokenFault.None)
        {
            await RejectAsync(context, connection, Rejection.Of(judged.Fault), judged.Issuer).ConfigureAwait(false);
            return null;
        }

        if (judged.Tokens.Count > 0)
        {
            Show(context, connection, judged.Tokens);
        }

        return judged.Claims;
    }

    /// <summary>Keys are being fetched. Null when the deadline or the caller's patience ended before.</summary>
    private async ValueTask<Authentication?> WaitAsync(HttpContext context, Task<Authentication> judging, Deadline? deadline)
    {
        using var bound = deadline?.Bind(context.RequestAborted);
        try
        {
            return await judging.WaitAsync(bound?.Token ?? context.RequestAborted).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            if (bound is not { HasExpired: true })
            {
                // Counted where every request without a deadline ends.
                if (deadline is not null)
                {
                    counters.Cancelled();
                }

                return null;
            }

            counters.DeadlineExceeded();
            await InboundDeadline.AnswerAsync(context).ConfigureAwait(false);
            return null;
        }
    }

    /// <summary>What the app sees of the tokens: claims on <c>HttpContext.User</c>, headers with some of them, and the tokens themselves only where they are to be forwarded.</summary>
    private static void Show(HttpContext context, MeshConnectionFeature connection, IReadOnlyList<FoundToken> tokens)
    {
        var request = context.Request;
        foreach (var (place, token) in tokens)
        {
            if (!token.Provider.Forward)
            {
                if (place.IsHeader)
                {
                    request.Headers.Remove(place.Name);
                }
                else if (request.QueryString.Value is { Length: > 1 } query)
                {
                    var rest = TokenReader.Without(query[1..], place.Name);
                    request.QueryString = rest.Length == 0 ? QueryString.Empty : new QueryString("?" + rest);
                }
            }

            foreach (var (name, value) in token.Headers)
            {
                request.Headers[name] = value;
            }
        }

        context.Features.Set<IHttpAuthenticationFeature>(new MeshAuthenticationFeature(connection.Peer?.Id, tokens));
    }

    private Task RejectAsync(HttpContext context, MeshConnectionFeature connection, Rejection rejection, string issuer)
    {
        counters.Decide(rejection.Decision, rejection.Reason);
        tap.Refused(context, connection, $"{rejection.Decision}/{rejection.Reason}", issuer.Length == 0 ? rejection.Message : $"{rejection.Message} (issuer {issuer})");
        if (refusals.IsDue(rejection.Decision + rejection.Reason, out var count))
        {
            var caller = connection.CallerOf(context);
            if (rejection.HttpStatus == StatusCodes.Status401Unauthorized)
            {
                Log.TokenRefused(logger, count, rejection.Reason, issuer.Length == 0 ? "no issuer that is known here" : issuer, caller);
            }
            else
            {
                Log.AmbiguousRefused(logger, count, rejection.Reason, caller);
            }
        }

        return InboundRejection.AnswerAsync(context, rejection);
    }

    private static partial class Log
    {
        [LoggerMessage(3510, LogLevel.Information, "{Count} requests were answered 401 since the last such line: {Reason} (issuer: {Issuer}). The last came from {Caller}", EventName = nameof(TokenRefused))]
        public static partial void TokenRefused(ILogger logger, long count, string reason, string issuer, string caller);

        [LoggerMessage(3511, LogLevel.Information, "{Count} requests were answered 400 since the last such line: their {What} can be read in more than one way. The last came from {Caller}. What is meant so can be let through by Mesh:Server:AmbiguousPaths", EventName = nameof(AmbiguousRefused))]
        public static partial void AmbiguousRefused(ILogger logger, long count, string what, string caller);
    }
}
