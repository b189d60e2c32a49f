using System.Collections.Concurrent;
using Mesh.Outbound;
using Mesh.Resilience;
using Microsoft.Extensions.Http.Resilience;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Mesh.Client.Coexistence;

/// <summary>Keeps attempts from multiplying where a client has resilience handlers of its own: standard ones yield for hosts in the mesh and narrow what the mesh does, others are warned of.</summary>
internal sealed partial class ResilienceHandlers(
    OutboundPipeline pipeline, IOptionsMonitor<HttpStandardResilienceOptions> standard, IOptionsMonitor<HttpStandardHedgingResilienceOptions> hedging, ILogger<ResilienceHandlers> logger)
{
    // What the handler at this place of the client's list is; the factory makes the list anew every few minutes, always the same.
    private readonly ConcurrentDictionary<(string Client, int Place), Kind> _kinds = new();
    private readonly ConcurrentDictionary<string, bool> _warned = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, bool> _counted = new(StringComparer.Ordinal);

    /// <summary>Puts itself around the client's resilience handlers.</summary>
    /// <param name="never">Gets the methods that they never try again.</param>
    /// <returns>What they allow a call at most; null is nothing.</returns>
    public CallLimits? Reconcile(string client, IList<DelegatingHandler> handlers, HashSet<HttpMethod> never)
    {
        CallLimits? limits = null;
        List<(YieldingHandler Handler, string Name)>? unreadable = null;
        for (var i = 0; i < handlers.Count; i++)
        {
            var own = handlers[i];
#pragma warning disable EXTEXP0001 // the type is how its handlers are known; how it works inside does not matter here
            var isResilience = own is ResilienceHandler;
#pragma warning restore EXTEXP0001
            if ((!isResilience && !IsPolly(own.GetType())) || own.InnerHandler is not null)
            {
                continue;
            }

            var around = new YieldingHandler(pipeline, own);
            handlers[i] = around;
            var kind = isResilience ? _kinds.GetOrAdd((client, i), static (_, around) => KindOf(around.Probe()), around) : default;
            if (kind.Standard is { } name)
            {
                around.Yields = true;
                var options = standard.Get(name);
                limits = ClientLimits.Narrower(limits, StandardLimits.Of(options));
                never.UnionWith(StandardLimits.NeverRetried(options));
            }
            else if (kind.Hedging is { } hedged)
            {
                around.Yields = true;
                limits = ClientLimits.Narrower(limits, StandardLimits.Of(hedging.Get(hedged)));
            }
            else
            {
                (unreadable ??= []).Add((around, own.GetType().Name));
            }
        }

        if (unreadable is not null)
        {
            Warn(client, unreadable, 1 + Math.Min(limits?.MaxRetries ?? int.MaxValue, RetryDecider.Default.NumRetries));
        }

        return limits;
    }

    private void Warn(string client, List<(YieldingHandler Handler, string Name)> unreadable, int attempts)
    {
        var names = string.Join(", ", unreadable.Select(u => u.Name));
        if (_warned.TryAdd(client, true))
        {
            Log.HandlerNotReconciled(logger, client, names, attempts);
        }

        foreach (var (handler, name) in unreadable)
        {
            handler.Multiplied = count =>
            {
                if (_counted.TryAdd(client, true))
                {
                    Log.AttemptsMultiplied(logger, client, name, count, attempts, count * attempts);
                }
            };
        }
    }

    private static Kind KindOf(ProbeRequest? probe) => probe is null or { IsRerouted: true } ? default : new(probe.Standard, probe.Hedging);

    /// <summary>The handler of Polly's older integration (<c>AddPolicyHandler</c>), by name: nothing here depends on its package.</summary>
    private static bool IsPolly(Type? type)
    {
        for (; type is not null; type = type.BaseType)
        {
            if (type.FullName == "Microsoft.Extensions.Http.PolicyHttpMessageHandler")
            {
                return true;
            }
        }

        return false;
    }

    /// <param name="Standard">Name of its options, when it is a standard handler.</param>
    /// <param name="Hedging">Name of its options, when it is one of the two of a standard hedging handler.</param>
    private readonly record struct Kind(string? Standard, string? Hedging);

    private static partial class Log
    {
        [LoggerMessage(2401, LogLevel.Warning, "Client '{Client}' has handlers that may try a call again and that the mesh cannot read: {Handlers}. For services in the mesh each of their tries is tried up to {Attempts} times by the mesh, where the route does not say otherwise. Use AddStandardResilienceHandler or none, or set RetryOwner to Client (ConfigureMesh)", EventName = nameof(HandlerNotReconciled))]
        public static partial void HandlerNotReconciled(ILogger logger, string client, string handlers, int attempts);

        [LoggerMessage(2402, LogLevel.Warning, "Client '{Client}': {Handler} sent one call to a service in the mesh {Sent} times; with {Attempts} attempts of the mesh for each that is up to {Total}. Use AddStandardResilienceHandler or none, or set RetryOwner to Client (ConfigureMesh)", EventName = nameof(AttemptsMultiplied))]
        public static partial void AttemptsMultiplied(ILogger logger, string client, string handler, int sent, int attempts, int total);
    }
}
