using Google.Protobuf.WellKnownTypes;
using Mesh.Config;
using Mesh.Protos.Envoy.Type;
using Xunit;
using static Mesh.Xds.DecodeAssert;
using HealthCheck = Mesh.Config.HealthCheck;
using Wire = Mesh.Protos.Envoy.Core.HealthCheck;

namespace Mesh.Xds;

/// <summary>Outlier detection and health checks as clusters carry them.</summary>
public sealed class ClusterHealthDecoderTests
{
    [Fact]
    [Trait("gRFC", "A50")]
    public void Outliers_AllFields_AreRead()
    {
        var given = XdsResources.Cluster("c");
        given.OutlierDetection = new()
        {
            Interval = Duration.FromTimeSpan(TimeSpan.FromSeconds(3)),
            EnforcingSuccessRate = 40,
            SuccessRateStdevFactor = 500,
            SuccessRateMinimumHosts = 2,
            SuccessRateRequestVolume = 3,
            EnforcingFailurePercentage = 60,
            FailurePercentageThreshold = 12,
            FailurePercentageMinimumHosts = 4,
            FailurePercentageRequestVolume = 5,
        };
        var read = Valid<Cluster>(given).OutlierDetection!;
        Assert.Equal(TimeSpan.FromSeconds(3), read.Interval);
        Assert.Equal(new SuccessRateEjection(500, 40, 2, 3), read.SuccessRate);
        Assert.Equal(new FailurePercentageEjection(12, 60, 4, 5), read.FailurePercentage);
    }

    [Fact]
    [Trait("gRFC", "A50")]
    public void Outliers_Enforcing_UnsetOrZeroTurnsOff()
    {
        var given = XdsResources.Cluster("c");
        given.OutlierDetection = new() { FailurePercentageThreshold = 50 };
        var read = Valid<Cluster>(given).OutlierDetection!;
        Assert.NotNull(read.SuccessRate);
        Assert.Null(read.FailurePercentage);
        given.OutlierDetection = new() { EnforcingSuccessRate = 0, EnforcingFailurePercentage = 100 };
        read = Valid<Cluster>(given).OutlierDetection!;
        Assert.Null(read.SuccessRate);
        Assert.Equal(new FailurePercentageEjection(85, 100, 5, 50), read.FailurePercentage);
        given.OutlierDetection = new() { Interval = new Duration() };
        Invalid(given, "outlier_detection.interval");
    }

    [Fact]
    public void Health_EachProbe_IsReadWithDefaults()
    {
        Assert.Null(Valid<Cluster>(XdsResources.Cluster("c")).HealthCheck);
        var read = Health(new Wire { HttpHealthCheck = new() { Path = "/healthz?deep=1", Host = "catalog:8080", ExpectedStatuses = { new Int64Range { Start = 200, End = 300 }, new Int64Range { Start = 404, End = 405 } } } });
        Assert.Equal(new HealthCheck(read.Probe, TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(1), 3, 2), read);
        var http = Assert.IsType<HealthProbe.Http>(read.Probe);
        Assert.Equal(("/healthz?deep=1", "catalog:8080"), (http.Path, http.Host));
        Assert.Equal([(200, 300), (404, 405)], http.Statuses);
        Assert.Null(Assert.IsType<HealthProbe.Http>(Health(new Wire { HttpHealthCheck = new() { Path = "/" } }).Probe).Host);
        Assert.Equal(new HealthProbe.Grpc("shop.Cart"), Health(new Wire { GrpcHealthCheck = new() { ServiceName = "shop.Cart" } }).Probe);
        var all = Health(new Wire { TcpHealthCheck = new(), Interval = Duration.FromTimeSpan(TimeSpan.FromSeconds(2)), Timeout = Duration.FromTimeSpan(TimeSpan.FromSeconds(3)), UnhealthyThreshold = 4, HealthyThreshold = 5 });
        Assert.Equal(new HealthCheck(new HealthProbe.Tcp(), TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(3), 4, 5), all);
    }

    [Fact]
    public void Health_Wrong_EveryErrorIsNamed()
    {
        Refused(new Wire { Interval = new Duration(), Timeout = new Duration { Nanos = -1 }, UnhealthyThreshold = 0, HealthyThreshold = 0 }, "health_checker", "interval", "timeout", "unhealthy_threshold", "healthy_threshold");
        Refused(new Wire { HttpHealthCheck = new() { Path = "healthz", Host = "a b", ExpectedStatuses = { new Int64Range { Start = 300, End = 200 } } } }, "http_health_check.path", "http_health_check.host", "http_health_check.expected_statuses[0]");
        Refused(new Wire { HttpHealthCheck = new() { Path = "/", Host = "a/b" } }, "http_health_check.host");
        var two = XdsResources.Cluster("c");
        two.HealthChecks.Add(new Wire { TcpHealthCheck = new() });
        two.HealthChecks.Add(new Wire { TcpHealthCheck = new() });
        Invalid(two, "health_checks");
    }

    private static void Refused(Wire check, params string[] fields)
    {
        var cluster = XdsResources.Cluster("c");
        cluster.HealthChecks.Add(check);
        Invalid(cluster, [.. fields.Select(f => $"health_checks[0].{f}")]);
    }

    private static HealthCheck Health(Wire check)
    {
        var cluster = XdsResources.Cluster("c");
        cluster.HealthChecks.Add(check);
        return Valid<Cluster>(cluster).HealthCheck!;
    }
}
