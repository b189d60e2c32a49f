using System.Diagnostics.Metrics;
using Mesh.Balancing.Pickers;
using Mesh.Telemetry;

namespace Mesh.Outbound;

/// <summary>Counts connections to endpoints, who sits out and what endpoints weigh, under gRPC's names (gRFC A78, A91, A94). Of all protocols: a connection does not know what it will carry. Thread-safe.</summary>
internal sealed class SubchannelMetrics
{
    private readonly Counter<long> _succeeded;
    private readonly Counter<long> _failed;
    private readonly Counter<long> _disconnected;
    private readonly Counter<long> _ejected;
    private readonly Counter<long> _fallbacks;
    private readonly Counter<long> _unweighted;
    private readonly Counter<long> _stale;
    private readonly Histogram<double> _weights;

    public SubchannelMetrics(Meter meter)
    {
        _succeeded = meter.CreateCounter<long>(GrpcTags.ConnectionAttemptsSucceeded, "{attempt}", "Connections to endpoints that came about.");
        _failed = meter.CreateCounter<long>(GrpcTags.ConnectionAttemptsFailed, "{attempt}", "Connections to endpoints that did not come about.");
        _disconnected = meter.CreateCounter<long>(GrpcTags.Disconnections, "{disconnection}", "Connections to endpoints that ended, by whomever.");
        _ejected = meter.CreateCounter<long>(GrpcTags.EjectionsEnforced, "{ejection}", "Endpoints that outlier detection told to sit out.");
        _fallbacks = meter.CreateCounter<long>(GrpcTags.WrrFallback, "{update}", "Updates of weights in which too few endpoints had one from their load reports.");
        _unweighted = meter.CreateCounter<long>(GrpcTags.WrrNotYetUsable, "{endpoint}", "Endpoints, by update of weights, that have none from load reports yet.");
        _stale = meter.CreateCounter<long>(GrpcTags.WrrStale, "{endpoint}", "Endpoints, by update of weights, whose last load report is too old.");
        _weights = meter.CreateHistogram<double>(GrpcTags.WrrWeights, "{weight}", "Weights of endpoints from load reports at each update, 0 for those without.");
    }

    /// <summary>Who is to be told of a cluster's weights by load reports.</summary>
    public IWeightWatch WeightsOf(OutboundCluster cluster) => new WeightWatch(this, cluster);

    /// <param name="cluster">Its name.</param>
    public void Connected(string cluster) => Count(_succeeded, cluster);

    /// <inheritdoc cref="Connected"/>
    public void ConnectFailed(string cluster) => Count(_failed, cluster);

    /// <inheritdoc cref="Connected"/>
    public void Disconnected(string cluster) => Count(_disconnected, cluster);

    /// <param name="method">How it was found out.</param>
    public void Ejected(OutboundCluster cluster, string method) => _ejected.Add(1, new(GrpcTags.Target, TargetOf(cluster.Service, cluster.Namespace)), new(GrpcTags.DetectionMethod, method));

    /// <summary>The target of a cluster's endpoints.</summary>
    public static string TargetOf(string service, string @namespace) => @namespace.Length == 0 ? service : $"{service}.{@namespace}";

    /// <summary>Names of one cluster, made at the first update: most clusters have none.</summary>
    private sealed class WeightWatch(SubchannelMetrics metrics, OutboundCluster cluster) : IWeightWatch
    {
        private KeyValuePair<string, object?>[]? _tags;

        public void Updated(ReadOnlySpan<double> weights, int known, int stale)
        {
            var tags = Volatile.Read(ref _tags);
            if (tags is null)
            {
                Volatile.Write(ref _tags, tags = [new(GrpcTags.Target, TargetOf(cluster.Service, cluster.Namespace)), new(GrpcTags.BackendService, cluster.Name)]);
            }

            if (known < ReportedWeights.Enough)
            {
                metrics._fallbacks.Add(1, tags);
            }

            if (weights.Length - known - stale is > 0 and var unweighted)
            {
                metrics._unweighted.Add(unweighted, tags);
            }

            if (stale > 0)
            {
                metrics._stale.Add(stale, tags);
            }

            if (metrics._weights.Enabled)
            {
                foreach (var weight in weights)
                {
                    metrics._weights.Record(weight, tags);
                }
            }
        }
    }

    private static void Count(Counter<long> counter, string cluster)
    {
        if (counter.Enabled)
        {
            var (service, @namespace) = ServiceNames.Parse(cluster);
            counter.Add(1, new(GrpcTags.Target, TargetOf(service, @namespace)), new(GrpcTags.BackendService, cluster));
        }
    }
}
