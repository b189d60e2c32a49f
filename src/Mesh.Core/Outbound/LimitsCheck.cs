using System.Collections.Concurrent;
using Mesh.Config;
using Mesh.Resilience;
using Microsoft.Extensions.Logging;

namespace Mesh.Outbound;

/// <summary>Says, once per client and service, where an app allows more than the route does: that has no effect. Thread-safe.</summary>
internal sealed partial class LimitsCheck(ILogger logger)
{
    // Bounded by the clients of the program and the services it may call.
    private readonly ConcurrentDictionary<(string Client, string Service), bool> _said = new();

    /// <summary>Cheap after the first call of a client to a route.</summary>
    public void Look(OutboundCall call)
    {
        if (call.Limits is not { } limits || call.Route is not { } route || WasSeen(route.CheckedLimits, limits))
        {
            return;
        }

        // All of the route's clients, so that two of them do not make each other's calls look again. A racing writer may lose its entry: the next call looks again.
        var seen = route.CheckedLimits;
        route.CheckedLimits = [.. seen.Length < NarrowedResilience.Max ? seen : seen[1..], limits];
        if (Larger(limits, route, call.Cluster!) is { Length: > 0 } larger)
        {
            var service = call.Listener.Destination is { } destination ? $"{destination.Service}.{destination.Namespace}" : call.Request.RequestUri!.Host;
            if (_said.TryAdd((limits.Client, service), true))
            {
                Log.LimitNotApplied(logger, limits.Client, service, larger);
            }
        }
    }

    private static bool WasSeen(CallLimits[] seen, CallLimits limits)
    {
        for (var i = 0; i < seen.Length; i++)
        {
            if (ReferenceEquals(seen[i], limits))
            {
                return true;
            }
        }

        return false;
    }

    private static string Larger(CallLimits limits, OutboundRoute route, OutboundCluster cluster)
    {
        var policy = (route.Config.Action as RouteAction.Forward)?.Retry ?? RetryDecider.Default;
        List<string> larger = [];
        Add("Timeout", limits.Timeout, route.Resilience?.Timeout);
        Add("AttemptTimeout", limits.AttemptTimeout, policy.PerTryTimeout);
        Add("MaxRetries", limits.MaxRetries, policy.On == RetryOn.None ? 0 : policy.NumRetries);
        Add("MaxConcurrentRequests", limits.MaxRequests, cluster.Config.MaxRequests);
        return string.Join(", ", larger);

        void Add<T>(string name, T? asked, T? allowed)
            where T : struct, IComparable<T>
        {
            if (asked is { } most && allowed is { } has && most.CompareTo(has) > 0)
            {
                larger.Add($"{name} {most} (the route allows {has})");
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(2403, LogLevel.Information, "Client '{Client}' allows calls to '{Service}' more than the mesh does, which has no effect: {Limits}. What the mesh allows is set where its routes are", EventName = nameof(LimitNotApplied))]
        public static partial void LimitNotApplied(ILogger logger, string client, string service, string limits);
    }
}
