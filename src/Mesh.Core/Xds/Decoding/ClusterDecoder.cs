using Mesh.Config;
using Wire = Mesh.Protos.Envoy.Cluster;

namespace Mesh.Xds.Decoding;

/// <summary>CDS: how a cluster's endpoints are found and called (gRFC A27, A32, A48, A52).</summary>
internal static partial class ClusterDecoder
{
    private static readonly TimeSpan DefaultConnectTimeout = TimeSpan.FromSeconds(5);

    public static DecodeResult Decode(Wire.Cluster given)
    {
        var errors = new DecodeErrors();
        if (given.Name.Length == 0)
        {
            errors.Add("name", "is empty", "Name the CDS resource as it was asked for.");
        }

        var timeout = errors.Time(given.ConnectTimeout, "connect_timeout") ?? DefaultConnectTimeout;
        if (timeout == TimeSpan.Zero)
        {
            errors.Add("connect_timeout", "is 0", "Use more than 0, or leave it out for 5 s.");
        }

        var balancing = LoadBalancingDecoder.Decode(given, errors);
        var ours = Ours(given.Metadata, errors);
        return errors.Result(given.Name, new Cluster(given.Name, EdsServiceName(given, errors), timeout)
        {
            LoadBalancing = balancing.Policy,
            RingHash = balancing.Ring,
            ShuffleEndpoints = balancing.Shuffle,
            LeastRequestChoices = balancing.Choices,
            WeightedRoundRobin = balancing.Reports,
            SlowStart = balancing.SlowStart,
            PreferNear = ours?.PreferNear ?? false,
            PanicThresholdPercent = PercentDecoder.Whole(given.CommonLbConfig?.HealthyPanicThreshold, 50, "common_lb_config.healthy_panic_threshold", errors),
            OutlierDetection = Outliers(given.OutlierDetection, errors),
            HealthCheck = Health(given.HealthChecks, errors),
            MaxRequests = MostOf(given.CircuitBreakers, t => t.MaxRequests, 1024),
            MaxPendingRequests = MostOf(given.CircuitBreakers, t => t.MaxPendingRequests, int.MaxValue),
            MaxConnections = MostOf(given.CircuitBreakers, t => t.MaxConnections, int.MaxValue),
            RetryBudget = Budget(ours),
            Connections = Connections(given.CommonHttpProtocolOptions, ours, errors),
            UpstreamTls = TlsContextDecoder.Upstream(given.TransportSocket, "transport_socket", errors),
        });
    }

    private static string EdsServiceName(Wire.Cluster given, DecodeErrors errors)
    {
        if (given.ClusterDiscoveryTypeCase == Wire.Cluster.ClusterDiscoveryTypeOneofCase.ClusterType)
        {
            errors.Add("cluster_type", $"is '{given.ClusterType.Name}'", "Aggregate clusters are not supported yet; use type EDS.");
            return given.Name;
        }

        if (given.Type != Wire.Cluster.Types.DiscoveryType.Eds)
        {
            errors.Add("type", $"is {given.Type}", "Only EDS is supported yet.");
            return given.Name;
        }

        var source = given.EdsClusterConfig?.EdsConfig;
        if (source?.Ads is null && source?.Self is null)
        {
            errors.Add("eds_cluster_config.eds_config", "is neither ads nor self", "Use ads: {}.");
        }

        return given.EdsClusterConfig?.ServiceName is { Length: > 0 } service ? service : given.Name;
    }
}
