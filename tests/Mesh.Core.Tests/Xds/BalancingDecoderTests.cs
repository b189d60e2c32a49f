using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Mesh.Config;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.LoadBalancing;
using Mesh.Protos.Envoy.Type;
using Mesh.Protos.Traffic;
using Xunit;
using static Mesh.Protos.Envoy.Type.FractionalPercent.Types;
using static Mesh.Xds.DecodeAssert;
using Drop = Mesh.Protos.Envoy.Endpoint.ClusterLoadAssignment.Types.Policy.Types.DropOverload;
using SlowStartWire = Mesh.Protos.Envoy.Cluster.Cluster.Types.SlowStartConfig;
using Wire = Mesh.Protos.Envoy.Cluster;

namespace Mesh.Xds;

/// <summary>What a cluster and its endpoints say of spreading calls, beyond the policy itself.</summary>
public sealed class BalancingDecoderTests
{
    private const string First = "load_balancing_policy.policies[0].typed_extension_config.typed_config";
    private const string Ours = "metadata.typed_filter_metadata[\"io.meshlib\"]";
    private static readonly Duration _minute = Duration.FromTimeSpan(TimeSpan.FromMinutes(1));

    [Fact]
    public void SlowStart_OldFields_AreRead()
    {
        var expected = new SlowStart(TimeSpan.FromMinutes(1), 1, 10);
        var given = XdsResources.Cluster("c");
        given.RoundRobinLbConfig = new() { SlowStartConfig = new() { SlowStartWindow = _minute } };
        Assert.Equal((LoadBalancing.PeakEwma, expected), Valid<Cluster>(given) is var c ? (c.LoadBalancing, c.SlowStart!) : default);

        given.LbPolicy = Wire.Cluster.Types.LbPolicy.LeastRequest;
        given.LeastRequestLbConfig = new() { ChoiceCount = 4, SlowStartConfig = Full };
        var least = Valid<Cluster>(given);
        Assert.Equal((LoadBalancing.LeastRequest, 4, new SlowStart(TimeSpan.FromMinutes(1), 2.5, 13)), (least.LoadBalancing, least.LeastRequestChoices, least.SlowStart!));
    }

    [Fact]
    public void SlowStart_InTheList_IsRead()
    {
        var expected = new SlowStart(TimeSpan.FromMinutes(1), 2.5, 13);
        Assert.Equal(expected, Valid<Cluster>(List(new RoundRobin { SlowStartConfig = Full })).SlowStart);
        Assert.Equal(expected, Valid<Cluster>(List(new LeastRequest { SlowStartConfig = Full })).SlowStart);
        Assert.Null(Valid<Cluster>(List(new RoundRobin { SlowStartConfig = new() })).SlowStart);
        Assert.Null(Valid<Cluster>(List(new RoundRobin())).SlowStart);
    }

    [Fact]
    public void SlowStart_Wrong_IsRefused() => Invalid(
        List(new RoundRobin { SlowStartConfig = new() { SlowStartWindow = new() { Seconds = -1 }, Aggression = new() { DefaultValue = 0 }, MinWeightPercent = new() { Value = 100.1 } } }),
        $"{First}.slow_start_config.slow_start_window",
        $"{First}.slow_start_config.aggression.default_value",
        $"{First}.slow_start_config.min_weight_percent.value");

    [Theory]
    [InlineData(2u, 2)]
    [InlineData(10u, 10)]
    [InlineData(11u, 10)]
    [InlineData(uint.MaxValue, 10)]
    [Trait("gRFC", "A48")]
    public void LeastRequest_Choices_AreCapped(uint given, int expected) =>
        Assert.Equal(expected, Valid<Cluster>(List(new LeastRequest { ChoiceCount = given })).LeastRequestChoices);

    [Fact]
    [Trait("gRFC", "A48")]
    public void LeastRequest_OneChoice_IsRefused()
    {
        Assert.Equal(2, Valid<Cluster>(List(new LeastRequest())).LeastRequestChoices);
        Invalid(List(new LeastRequest { ChoiceCount = 1 }), $"{First}.choice_count");
    }

    [Fact]
    [Trait("gRFC", "A58")]
    public void Weighted_Empty_HasTheDefaults()
    {
        var cluster = Valid<Cluster>(List(new ClientSideWeightedRoundRobin()));
        Assert.Equal(LoadBalancing.WeightedRoundRobin, cluster.LoadBalancing);
        Assert.Equal(WeightedRoundRobin.Default, cluster.WeightedRoundRobin with { MetricNames = WeightedRoundRobin.Default.MetricNames });
        Assert.Empty(cluster.WeightedRoundRobin.MetricNames);
    }

    [Fact]
    [Trait("gRFC", "A58")]
    public void Weighted_AllSetInsideWrrLocality_IsRead()
    {
        var inner = new ClientSideWeightedRoundRobin
        {
            EnableOobLoadReport = true,
            OobReportingPeriod = Duration.FromTimeSpan(TimeSpan.FromSeconds(2)),
            BlackoutPeriod = Duration.FromTimeSpan(TimeSpan.Zero),
            WeightExpirationPeriod = Duration.FromTimeSpan(TimeSpan.FromSeconds(4)),
            WeightUpdatePeriod = Duration.FromTimeSpan(TimeSpan.FromMilliseconds(1)),
            ErrorUtilizationPenalty = 1.5f,
            MetricNamesForComputingUtilization = { "named_metrics.queue", "mem_utilization" },
        };
        var cluster = Valid<Cluster>(List(new WrrLocality { EndpointPickingPolicy = List(inner).LoadBalancingPolicy }));
        var given = cluster.WeightedRoundRobin;
        Assert.Equal(LoadBalancing.WeightedRoundRobin, cluster.LoadBalancing);
        Assert.Equal((true, 2.0, 0.0, 4.0), (given.OutOfBand, given.OutOfBandPeriod.TotalSeconds, given.Blackout.TotalSeconds, given.Expiration.TotalSeconds));
        Assert.Equal((TimeSpan.FromMilliseconds(100), 1.5), (given.UpdatePeriod, given.ErrorPenalty));
        Assert.Equal(["named_metrics.queue", "mem_utilization"], given.MetricNames);
    }

    [Theory]
    [InlineData(-0.1f)]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [Trait("gRFC", "A58")]
    public void Weighted_BadPenalty_IsRefused(float penalty) =>
        Invalid(List(new ClientSideWeightedRoundRobin { ErrorUtilizationPenalty = penalty }), $"{First}.error_utilization_penalty");

    [Fact]
    public void Panic_Threshold_IsRead()
    {
        Assert.Equal(50, Valid<Cluster>(XdsResources.Cluster("c")).PanicThresholdPercent);
        Assert.Equal(0, Valid<Cluster>(Panic(0)).PanicThresholdPercent);
        Assert.Equal(33, Valid<Cluster>(Panic(33.4)).PanicThresholdPercent);
        Invalid(Panic(-1), "common_lb_config.healthy_panic_threshold.value");
        Invalid(Panic(double.NaN), "common_lb_config.healthy_panic_threshold.value");

        static Wire.Cluster Panic(double value)
        {
            var given = XdsResources.Cluster("c");
            given.CommonLbConfig = new() { HealthyPanicThreshold = new() { Value = value } };
            return given;
        }
    }

    [Fact]
    public void OurPolicy_Set_IsRead()
    {
        var given = XdsResources.Cluster("c");
        var plain = Valid<Cluster>(given);
        Assert.Equal((false, RetryBudgetSize.Default, ConnectionLife.Default), (plain.PreferNear, plain.RetryBudget, plain.Connections));

        given.Metadata = Metadata(new ClusterPolicy { PreferNear = true, WarmConnections = 3, RetryBudget = new() { Percent = 50, MinRetriesPerSecond = 1 } });
        var cluster = Valid<Cluster>(given);
        Assert.Equal((true, new RetryBudgetSize(50, 1), ConnectionLife.Default with { Warm = 3 }), (cluster.PreferNear, cluster.RetryBudget, cluster.Connections));
    }

    [Fact]
    public void OurPolicy_Wrong_IsRefused()
    {
        var given = XdsResources.Cluster("c");
        given.Metadata = Metadata(new ClusterPolicy { WarmConnections = 9, RetryBudget = new() { Percent = 101 } });
        Invalid(given, $"{Ours}.warm_connections", $"{Ours}.retry_budget.percent");
        given.Metadata = Metadata(new RoundRobin());
        Invalid(given, Ours);
        given.Metadata = new Metadata { TypedFilterMetadata = { ["else"] = Any.Pack(new RoundRobin()) } };
        Valid<Cluster>(given);
    }

    [Fact]
    public void Connections_Settings_AreRead()
    {
        var given = XdsResources.Cluster("c");
        given.CommonHttpProtocolOptions = new() { IdleTimeout = new(), MaxConnectionDuration = _minute };
        given.CircuitBreakers = new() { Thresholds = { new Wire.CircuitBreakers.Types.Thresholds { Priority = RoutingPriority.High, MaxConnections = 1 }, new Wire.CircuitBreakers.Types.Thresholds { MaxConnections = 7, MaxPendingRequests = uint.MaxValue } } };
        var cluster = Valid<Cluster>(given);
        Assert.Equal(new ConnectionLife(TimeSpan.FromMinutes(1), Timeout.InfiniteTimeSpan, 0), cluster.Connections);
        Assert.Equal((7, int.MaxValue, 1024), (cluster.MaxConnections, cluster.MaxPendingRequests, cluster.MaxRequests));

        given.CommonHttpProtocolOptions = new() { MaxConnectionDuration = new(), IdleTimeout = new() { Nanos = -1 } };
        Invalid(given, "common_http_protocol_options.max_connection_duration", "common_http_protocol_options.idle_timeout");
    }

    [Fact]
    public void Assignment_DropsAndOverprovisioning_AreRead()
    {
        var given = XdsResources.Endpoints("c", 80);
        Assert.Equal((140, 0), Valid<LoadAssignment>(given) is var plain ? (plain.OverprovisioningPercent, plain.Drops.Count) : default);
        given.Policy = new()
        {
            OverprovisioningFactor = 100,
            DropOverloads =
            {
                new Drop { Category = "lb", DropPercentage = new() { Numerator = 7, Denominator = DenominatorType.TenThousand } },
                new Drop { Category = "none", DropPercentage = new() },
                new Drop { Category = "absent" },
                new Drop { Category = "all", DropPercentage = new() { Numerator = 200 } },
            },
        };
        var assignment = Valid<LoadAssignment>(given);
        Assert.Equal(100, assignment.OverprovisioningPercent);
        Assert.Equal([new DropCategory("lb", 700), new DropCategory("all", 1_000_000)], assignment.Drops);
        given.Policy.OverprovisioningFactor = 0;
        Invalid(given, "policy.overprovisioning_factor");
    }

    [Theory]
    [InlineData((int)HealthStatus.Draining, true)]
    [InlineData((int)HealthStatus.Unhealthy, false)]
    [InlineData((int)HealthStatus.Healthy, false)]
    public void Endpoint_Draining_IsKeptForItsSessions(int status, bool draining)
    {
        var given = XdsResources.Endpoints("c", 80);
        given.Endpoints[0].LbEndpoints[0].HealthStatus = (HealthStatus)status;
        Assert.Equal(draining, Valid<LoadAssignment>(given).Localities[0].Endpoints[0].Draining);
    }

    private static SlowStartWire Full => new() { SlowStartWindow = _minute, Aggression = new() { DefaultValue = 2.5 }, MinWeightPercent = new Percent { Value = 12.5 } };

    private static Metadata Metadata(IMessage policy) => new() { TypedFilterMetadata = { ["io.meshlib"] = Any.Pack(policy) } };

    private static Wire.Cluster List(IMessage policy)
    {
        var given = XdsResources.Cluster("c");
        given.LoadBalancingPolicy = new() { Policies = { new Wire.LoadBalancingPolicy.Types.Policy { TypedExtensionConfig = new TypedExtensionConfig { TypedConfig = Any.Pack(policy) } } } };
        return given;
    }
}
