using System.Net;
using Mesh.Resilience;
using Microsoft.Extensions.Http.Resilience;
using Polly;
using Polly.Retry;

namespace Mesh.Client.Coexistence;

/// <summary>Reads out of the options of standard handlers what they allow a call at most. Pure.</summary>
internal static class StandardLimits
{
    // What the mesh itself would try again (RFC 9110 §9.2.2); the others it never sends twice.
    private static readonly HttpMethod[] Idempotent = [HttpMethod.Get, HttpMethod.Head, HttpMethod.Put, HttpMethod.Delete, HttpMethod.Options, HttpMethod.Trace];

    public static CallLimits Of(HttpStandardResilienceOptions options) =>
        new(Time(options.TotalRequestTimeout), Time(options.AttemptTimeout), options.Retry.MaxRetryAttempts) { MaxRequests = Permits(options.RateLimiter) };

    public static CallLimits Of(HttpStandardHedgingResilienceOptions options) =>
        new(Time(options.TotalRequestTimeout), Time(options.Endpoint.Timeout), options.Hedging.MaxHedgedAttempts) { MaxRequests = Permits(options.Endpoint.RateLimiter) };

    /// <summary>Methods that are not to be tried again: the handler's own predicate refuses them whatever happened (<c>DisableFor</c> and the like).</summary>
    public static IEnumerable<HttpMethod> NeverRetried(HttpStandardResilienceOptions options) => Idempotent.Where(method =>
    {
        using var request = new HttpRequestMessage(method, "http://probe.invalid/");
        using var unavailable = new HttpResponseMessage(HttpStatusCode.ServiceUnavailable) { RequestMessage = request };
        return !Handles(options.Retry, request, Outcome.FromResult(unavailable))
            && !Handles(options.Retry, request, Outcome.FromException<HttpResponseMessage>(new HttpRequestException(HttpRequestError.ConnectionError)));
    });

    private static bool Handles(HttpRetryStrategyOptions retry, HttpRequestMessage request, Outcome<HttpResponseMessage> outcome)
    {
        var context = ResilienceContextPool.Shared.Get(CancellationToken.None);
#pragma warning disable EXTEXP0001 // where the package's own DisableFor finds the method when there is no response
        context.SetRequestMessage(request);
#pragma warning restore EXTEXP0001
        try
        {
            var answer = retry.ShouldHandle(new RetryPredicateArguments<HttpResponseMessage>(context, outcome, 0));
            // One that has to wait, or fails without a real call, says nothing against retries.
            return !answer.IsCompletedSuccessfully || answer.Result;
        }
#pragma warning disable CA1031 // it is the app's code, asked about a call that is none
        catch (Exception)
#pragma warning restore CA1031
        {
            return true;
        }
        finally
        {
            ResilienceContextPool.Shared.Return(context);
        }
    }

    // A generated timeout is known only with a call.
    private static TimeSpan? Time(HttpTimeoutStrategyOptions options) => options.TimeoutGenerator is null ? options.Timeout : null;

    // A limiter of the app's own has no number.
    private static int? Permits(HttpRateLimiterStrategyOptions options) => options.RateLimiter is null ? options.DefaultRateLimiterOptions.PermitLimit : null;
}
