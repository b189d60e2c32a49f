using Microsoft.Extensions.Http.Resilience;
using Microsoft.Extensions.Options;

namespace Mesh.Client.Coexistence;

/// <summary>Lets the options of standard handlers answer a <see cref="ProbeRequest"/>; for every other request they decide as before.</summary>
internal sealed class ProbedOptions : IPostConfigureOptions<HttpStandardResilienceOptions>, IPostConfigureOptions<HttpStandardHedgingResilienceOptions>
{
    public void PostConfigure(string? name, HttpStandardResilienceOptions options)
    {
        var decide = options.Retry.ShouldHandle;
        options.Retry.ShouldHandle = args =>
        {
            if (args.Outcome.Result?.RequestMessage is not ProbeRequest probe)
            {
                return decide(args);
            }

            probe.Standard = name ?? string.Empty;
            return new(false);
        };
    }

    public void PostConfigure(string? name, HttpStandardHedgingResilienceOptions options)
    {
        var decide = options.Hedging.ShouldHandle;
        options.Hedging.ShouldHandle = args => args.Outcome.Result?.RequestMessage is ProbeRequest probe ? Answer(probe) : decide(args);
        // The second handler of the pair has no hedging; every outcome passes its breaker.
        var breaks = options.Endpoint.CircuitBreaker.ShouldHandle;
        options.Endpoint.CircuitBreaker.ShouldHandle = args => args.Outcome.Result?.RequestMessage is ProbeRequest probe ? Answer(probe) : breaks(args);

        ValueTask<bool> Answer(ProbeRequest probe)
        {
            probe.Hedging = name ?? string.Empty;
            return new(false);
        }
    }
}
