using Mesh.Config;
using Mesh.Xds.Decoding;

namespace Mesh.Xds;

/// <summary>Follows LDS → RDS → CDS → EDS and says what is wanted and what is complete (gRFC A74). What is in use stays until its successor is complete.</summary>
/// <remarks>Owned by the client's loop. One instance lives as long as its source: it remembers what is in use.</remarks>
internal sealed class ConfigAssembler(Func<string, string, XdsAnswer> ask)
{
    private Dictionary<string, ListenerResult> _listeners = new(StringComparer.Ordinal);
    private Dictionary<string, ClusterResult> _clusters = new(StringComparer.Ordinal);

    /// <summary>One look at all that is watched.</summary>
    public Assembly Assemble(IEnumerable<string> watched)
    {
        var pass = new Pass(ask, _listeners, _clusters);
        var listeners = new Dictionary<string, ListenerResult>(StringComparer.Ordinal);
        foreach (var name in watched)
        {
            if (pass.Listener(name) is { } result)
            {
                listeners.Add(name, result);
            }
        }

        // Only what a listener in use names is in use; the others are merely wanted.
        var clusters = new Dictionary<string, ClusterResult>(StringComparer.Ordinal);
        foreach (var name in listeners.Values.OfType<ListenerResult.Found>().SelectMany(SnapshotBuilder.ClustersOf))
        {
            clusters[name] = pass.ClusterInUse(name);
        }

        var changed = !Same(_listeners, listeners) || !Same(_clusters, clusters);
        (_listeners, _clusters) = (listeners, clusters);
        return new Assembly(listeners, clusters, pass.Wanted, changed);
    }

    private static bool Same<T>(Dictionary<string, T> a, Dictionary<string, T> b)
        where T : class => a.Count == b.Count && a.All(pair => b.TryGetValue(pair.Key, out var other) && pair.Value.Equals(other));

    /// <summary>What came out.</summary>
    /// <param name="Wanted">The names to subscribe to, by type.</param>
    internal sealed record Assembly(
        IReadOnlyDictionary<string, ListenerResult> Listeners,
        IReadOnlyDictionary<string, ClusterResult> Clusters,
        IReadOnlyDictionary<string, HashSet<string>> Wanted,
        bool Changed);

    private sealed class Pass(Func<string, string, XdsAnswer> ask, Dictionary<string, ListenerResult> listeners, Dictionary<string, ClusterResult> clusters)
    {
        private readonly Dictionary<string, (ClusterResult? Result, bool Passing)> _resolved = new(StringComparer.Ordinal);

        public Dictionary<string, HashSet<string>> Wanted { get; } = new(StringComparer.Ordinal)
        {
            [XdsTypes.Listener] = new(StringComparer.Ordinal),
            [XdsTypes.RouteConfiguration] = new(StringComparer.Ordinal),
            [XdsTypes.Cluster] = new(StringComparer.Ordinal),
            [XdsTypes.ClusterLoadAssignment] = new(StringComparer.Ordinal),
        };

        /// <summary>The result to use for a listener; null while there is none.</summary>
        public ListenerResult? Listener(string name)
        {
            // A star would ask for everything.
            if (name is "" or "*")
            {
                return new ListenerResult.DoesNotExist($"'{name}' is no listener name");
            }

            var before = listeners.GetValueOrDefault(name);
            var answer = Ask(XdsTypes.Listener, name);
            var result = answer.Kind switch
            {
                XdsAnswerKind.Found => Found(name, (Listener)answer.Model!, before),
                XdsAnswerKind.DoesNotExist => new ListenerResult.DoesNotExist(answer.Failure),
                XdsAnswerKind.Failed => new ListenerResult.Unavailable($"Listener '{name}' has no valid version: {answer.Failure}"),
                XdsAnswerKind.Unreachable => before ?? new ListenerResult.Unavailable(answer.Failure),
                _ => before,
            };
            if (result is ListenerResult.Found inUse && ReferenceEquals(result, before))
            {
                foreach (var cluster in SnapshotBuilder.ClustersOf(inUse))
                {
                    Resolve(cluster);
                }
            }

            return result;
        }

        /// <summary>A cluster that a listener in use names: its new form when that is complete, else the one in use.</summary>
        public ClusterResult ClusterInUse(string name) =>
            Resolve(name).Result ?? clusters.GetValueOrDefault(name) ?? new ClusterResult.Unavailable($"Cluster '{name}' has had no answer yet");

        private ListenerResult? Found(string name, Listener listener, ListenerResult? before)
        {
            if (!listener.IsOutbound)
            {
                return Reuse(before, new ListenerResult.Found(listener, null));
            }

            // Without HTTP there are no routes to wait for.
            var (api, routes) = (listener.Api, listener.Api?.Inline);
            if (api is not null && routes is null)
            {
                var answer = Ask(XdsTypes.RouteConfiguration, api.RouteConfigurationName!);
                switch (answer.Kind)
                {
                    case XdsAnswerKind.Found:
                        routes = (RouteConfiguration)answer.Model!;
                        break;
                    case XdsAnswerKind.DoesNotExist:
                        return new ListenerResult.Unavailable($"Listener '{name}' has no routes: {answer.Failure}");
                    case XdsAnswerKind.Failed:
                        // A bad successor never replaces a good one.
                        return before as ListenerResult.Found as ListenerResult
                            ?? new ListenerResult.Unavailable($"The routes '{api.RouteConfigurationName}' of listener '{name}' have no valid version: {answer.Failure}");
                    case XdsAnswerKind.Unreachable:
                        return before ?? new ListenerResult.Unavailable(answer.Failure);
                    default:
                        return before;
                }
            }

            // Not stopping at the first that is missing: all of them are to be asked for now.
            var (complete, passing) = (true, true);
            foreach (var cluster in SnapshotBuilder.ClustersOf(listener, routes))
            {
                var (result, unreachable) = Resolve(cluster);
                complete &= result is not null && !unreachable;
                passing &= result is not null;
            }

            // Without a connection what is in use goes on; only with nothing in use is the lack of a connection an answer.
            return complete || (passing && before is not ListenerResult.Found)
                ? Reuse(before, new ListenerResult.Found(listener, routes))
                : before;
        }

        /// <returns>Null while not complete; Passing when the result only says that the control plane is out of reach.</returns>
        private (ClusterResult? Result, bool Passing) Resolve(string name)
        {
            if (!_resolved.TryGetValue(name, out var result))
            {
                _resolved[name] = result = ResolveNew(name, clusters.GetValueOrDefault(name));
            }

            return result;
        }

        private (ClusterResult? Result, bool Passing) ResolveNew(string name, ClusterResult? before)
        {
            var answer = Ask(XdsTypes.Cluster, name);
            if (answer.Kind != XdsAnswerKind.Found)
            {
                return NoData(answer, $"Cluster '{name}'", before);
            }

            var cluster = (Cluster)answer.Model!;
            var endpoints = Ask(XdsTypes.ClusterLoadAssignment, cluster.EdsServiceName);
            if (endpoints.Kind == XdsAnswerKind.Found)
            {
                return (Reuse(before, new ClusterResult.Found(cluster, (LoadAssignment)endpoints.Model!)), false);
            }

            if (before is ClusterResult.Found inUse && endpoints.Kind is XdsAnswerKind.Pending or XdsAnswerKind.Unreachable)
            {
                Ask(XdsTypes.ClusterLoadAssignment, ((ClusterResult.Found)before!).Cluster.EdsServiceName);
            }

            return NoData(endpoints, $"The endpoints '{cluster.EdsServiceName}' of cluster '{name}'", before);
        }

        private static (ClusterResult? Result, bool Passing) NoData(XdsAnswer answer, string what, ClusterResult? before) => answer.Kind switch
        {
            XdsAnswerKind.DoesNotExist => (Reuse(before, new ClusterResult.Unavailable($"{what} cannot be used: {answer.Failure}")), false),
            XdsAnswerKind.Failed => (Reuse(before, new ClusterResult.Unavailable($"{what} has no valid version: {answer.Failure}")), false),
            XdsAnswerKind.Unreachable => before is null ? (new ClusterResult.Unavailable(answer.Failure), true) : (before, false),
            _ => (before, false),
        };

        private XdsAnswer Ask(string typeUrl, string name)
        {
            Wanted[typeUrl].Add(name);
            return ask(typeUrl, name);
        }

        /// <summary>The same object while nothing changed: who compiles tables sees by reference what is new.</summary>
        private static T Reuse<T>(T? before, T now)
            where T : class => now.Equals(before) ? before! : now;
    }
}
