using System.Runtime.CompilerServices;
using Google.Protobuf;
using Mesh.Config;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Tests.Sources;
using Mesh.ControlPlane.Translation;
using Mesh.Xds.Decoding;
using Xunit;

namespace Mesh.ControlPlane.Tests.Translation;

// Here, for Mesh.ControlPlane.Cluster is a room.
using Cluster = Mesh.Config.Cluster;

/// <summary>What a policy says arrives in the data plane's model: manifest → resource → Core's decoders.</summary>
public class PolicyRoundTripTests
{
    [Fact]
    public void ClusterPolicies_Arrive()
    {
        var cluster = Decode<Cluster>("policies-cluster", XdsTypes.Cluster, "outbound|80||cart.shop.svc.cluster.local");

        Assert.Equal(TimeSpan.FromMilliseconds(250), cluster.ConnectTimeout);
        Assert.Equal((LoadBalancing.PeakEwma, true, 20), (cluster.LoadBalancing, cluster.PreferNear, cluster.PanicThresholdPercent));
        Assert.Equal(new SlowStart(TimeSpan.FromSeconds(30), 1.5, 10), cluster.SlowStart);
        Assert.Equal(new ConnectionLife(TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(1), 2), cluster.Connections);
        Assert.Equal((100, 10, 5), (cluster.MaxRequests, cluster.MaxPendingRequests, cluster.MaxConnections));
        Assert.Equal(new RetryBudgetSize(10, 10), cluster.RetryBudget);
        Assert.Equal(
            new OutlierDetection(0, TimeSpan.FromSeconds(3), TimeSpan.FromMinutes(5), 50)
            {
                Interval = TimeSpan.FromSeconds(5),
                SuccessRate = new SuccessRateEjection(1500, 100, 5, 100),
                FailurePercentage = new FailurePercentageEjection(60, 50, 5, 50),
            },
            cluster.OutlierDetection);
        var probe = Assert.IsType<HealthProbe.Http>(cluster.HealthCheck!.Probe);
        Assert.Equal(("/healthz", "cart.shop"), (probe.Path, probe.Host));
        Assert.Equal([(200, 300), (304, 305)], probe.Statuses);
    }

    [Theory]
    [InlineData("prices", LoadBalancing.RingHash)]
    [InlineData("stock", LoadBalancing.WeightedRoundRobin)]
    [InlineData("even", LoadBalancing.LeastRequest)]
    public void Algorithms_Arrive(string service, object algorithm)
    {
        var cluster = Decode<Cluster>("policies-cluster", XdsTypes.Cluster, $"outbound|80||{service}.shop.svc.cluster.local");

        Assert.Equal(algorithm, cluster.LoadBalancing);
        Assert.Equal(service == "prices" ? 128 : 1024, cluster.RingHash.Min);
        Assert.Equal(service == "even" ? 3 : 2, cluster.LeastRequestChoices);
        Assert.Equal(service == "stock" ? ["named_metrics.queue"] : [], cluster.WeightedRoundRobin.MetricNames);
    }

    [Fact]
    public void RoutePolicies_Arrive()
    {
        var routes = Decode<RouteConfiguration>("policies-route", XdsTypes.RouteConfiguration, "web.shop.svc.cluster.local:80").VirtualHosts[0].Routes;
        var slow = routes.Single(r => r.Name == "shop/web/slow");
        var forward = Assert.IsType<RouteAction.Forward>(slow.Action);

        // Said, or the client's default would hold.
        Assert.Equal((RetryOn.None, 0), (forward.Retry!.On, forward.Retry.NumRetries));
        Assert.Equal(new Hedging(95, TimeSpan.FromMilliseconds(50), 3), forward.Hedging);
        Assert.Equal((TimeSpan.FromMilliseconds(500), TimeSpan.FromMinutes(1)), (forward.ResponseHeadersTimeout, forward.IdleTimeout));
        var fault = Assert.IsType<FaultInjection>(Assert.Single(slow.FilterOverrides.ByName).Value);
        Assert.Equal((TimeSpan.FromMilliseconds(200), 100_000, 503, 10_000), (fault.Delay, fault.DelayPerMillion, fault.AbortHttpStatus, fault.AbortPerMillion));
        var retry = Assert.IsType<RouteAction.Forward>(routes.Single(r => r.Name == "shop/web/2").Action).Retry!;
        Assert.Equal((3, TimeSpan.FromSeconds(2)), (retry.NumRetries, retry.PerTryTimeout));
        Assert.Equal(RetryOn.ServerError | RetryOn.GrpcUnavailable | RetryOn.RetriableStatusCodes | RetryOn.RetriableHeaders, retry.On);
        Assert.Single(retry.RetriableHeaders);
    }

    [Fact]
    public void FaultFilter_StandsInTheListener_OnlyWhereARouteNeedsIt()
    {
        Assert.IsType<FaultInjection>(Assert.Single(Decode<Listener>("policies-route", XdsTypes.Listener, "web").Api!.Filters).Settings);
        Assert.Empty(Decode<Listener>("policies-cluster", XdsTypes.Listener, "prices").Api!.Filters);
    }

    [Fact]
    public void InboundLimits_Arrive()
    {
        var listener = Decode<Listener>("policies-inbound", XdsTypes.Listener, "meshlib/inbound?address=127.0.0.1:8080");

        Assert.All(listener.FilterChains, chain =>
        {
            var limits = Assert.IsType<InboundLimits>(Assert.Single(chain.Http!.Filters).Settings);
            Assert.Equal(new ServerConcurrency(64, 128, TimeSpan.FromMilliseconds(250)), limits.Concurrency);
            Assert.Equal([("each", RateLimitScope.Caller, 20), ("tenant", RateLimitScope.Header, 10), ("everybody", RateLimitScope.Shared, 1000)], limits.RateLimits.Select(l => (l.Name, l.Scope, l.Burst)));
            Assert.Equal(2, limits.RateLimits[1].Matches.Count);
        });
    }

    [Fact]
    public void PathTemplate_Arrives() =>
        Assert.Equal(
            "/shops/{shop}/orders/{rest=**}",
            Decode<RouteConfiguration>("policies-match", XdsTypes.RouteConfiguration, "web.shop.svc.cluster.local:80").VirtualHosts[0].Routes.First(r => r.Name == "shop/web/orders").Match.Template!.Text);

    private static T Decode<T>(string golden, string type, string name, [CallerFilePath] string here = "")
    {
        var model = Manifests.Model(File.ReadAllText(Path.Combine(Path.GetDirectoryName(here)!, "..", "Golden", golden, "in.yaml")));
        var translator = new ResourceTranslator(new TranslationOptions(Manifests.TrustDomain, "cluster.local"));
        var message = translator.Translate(model, new NodeContext("n", "shop", null) { IsMesh = true, InstanceIps = ["127.0.0.1"] }, type, name).Message!;
        var decoded = ResourceDecoder.Decode(type, message.ToByteString());
        Assert.Empty(decoded.Errors);
        return Assert.IsType<T>(decoded.Model);
    }
}
