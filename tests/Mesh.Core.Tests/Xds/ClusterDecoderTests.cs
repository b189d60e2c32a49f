using Google.Protobuf.WellKnownTypes;
using Mesh.Config;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Tls;
using Xunit;
using static Mesh.Xds.DecodeAssert;
using Wire = Mesh.Protos.Envoy.Cluster;

namespace Mesh.Xds;

public sealed class ClusterDecoderTests
{
    private const string Common = "transport_socket.typed_config.common_tls_context";

    [Fact]
    public void Cluster_Minimal_HasTheDefaults()
    {
        var cluster = Valid<Cluster>(XdsResources.Cluster("c"));
        Assert.Equal(new Cluster("c", "c", TimeSpan.FromSeconds(5)), cluster);
        Assert.Equal((LoadBalancing.PeakEwma, 1024), (cluster.LoadBalancing, cluster.MaxRequests));
        Assert.Equal("e", Valid<Cluster>(XdsResources.Cluster("c", "e")).EdsServiceName);
    }

    [Fact]
    public void Cluster_Wrong_EveryErrorIsNamed()
    {
        var given = new Wire.Cluster { Type = Wire.Cluster.Types.DiscoveryType.Eds, ConnectTimeout = new Duration(), LbPolicy = Wire.Cluster.Types.LbPolicy.Maglev };
        Invalid(given, "name", "eds_cluster_config.eds_config", "connect_timeout", "lb_policy");
    }

    [Theory]
    [InlineData((int)Wire.Cluster.Types.DiscoveryType.LogicalDns)]
    [InlineData((int)Wire.Cluster.Types.DiscoveryType.Static)]
    public void Cluster_OtherDiscovery_IsRefusedAsNotYetSupported(int type) => Invalid(new Wire.Cluster { Name = "c", Type = (Wire.Cluster.Types.DiscoveryType)type }, "type");

    [Fact]
    public void Cluster_Aggregate_IsRefused() => Invalid(new Wire.Cluster { Name = "c", ClusterType = new() { Name = "aggregate" } }, "cluster_type");

    [Theory]
    [InlineData((int)Wire.Cluster.Types.LbPolicy.LeastRequest, 2)]
    [InlineData((int)Wire.Cluster.Types.LbPolicy.Random, 3)]
    public void Policy_OldField_IsRead(int policy, int expected)
    {
        var given = XdsResources.Cluster("c");
        given.LbPolicy = (Wire.Cluster.Types.LbPolicy)policy;
        Assert.Equal((LoadBalancing)expected, Valid<Cluster>(given).LoadBalancing);
    }

    [Fact]
    [Trait("gRFC", "A52")]
    public void Policy_List_FirstKnownWinsNoneKnownIsRefused()
    {
        var given = XdsResources.Cluster("c");
        given.LbPolicy = Wire.Cluster.Types.LbPolicy.Maglev; // not looked at when there is a list
        given.LoadBalancingPolicy = Policies("odd.v1.Policy", "envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin", "envoy.extensions.load_balancing_policies.random.v3.Random");
        Assert.Equal(LoadBalancing.RoundRobin, Valid<Cluster>(given).LoadBalancing);
        given.LoadBalancingPolicy = Policies("envoy.extensions.load_balancing_policies.maglev.v3.Maglev");
        Invalid(given, "load_balancing_policy");
    }

    [Fact]
    public void Outliers_Values_AreRead()
    {
        Assert.Null(Valid<Cluster>(XdsResources.Cluster("c")).OutlierDetection);
        var empty = new OutlierDetection(5, TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(300), 10) { SuccessRate = new(1900, 100, 5, 100) };
        Assert.Equal(empty, Outliers(new()));
        Assert.Equal(0, Outliers(new() { EnforcingConsecutive5Xx = 0 }).ConsecutiveFailures);
        var given = new Wire.OutlierDetection { EnforcingSuccessRate = 0, Consecutive5Xx = 3, BaseEjectionTime = Duration.FromTimeSpan(TimeSpan.FromMinutes(10)), MaxEjectionPercent = 50 };
        Assert.Equal(new OutlierDetection(3, TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(10), 50), Outliers(given));

        static OutlierDetection Outliers(Wire.OutlierDetection outliers)
        {
            var cluster = XdsResources.Cluster("c");
            cluster.OutlierDetection = outliers;
            return Valid<Cluster>(cluster).OutlierDetection!;
        }
    }

    [Fact]
    [Trait("gRFC", "A50")]
    public void Outliers_PercentAboveHundred_IsRefused()
    {
        var given = XdsResources.Cluster("c");
        given.OutlierDetection = new Wire.OutlierDetection { MaxEjectionPercent = 101, EnforcingSuccessRate = 200, Interval = new Duration { Nanos = -1 } };
        Invalid(given, "outlier_detection.max_ejection_percent", "outlier_detection.enforcing_success_rate", "outlier_detection.interval");
    }

    [Fact]
    [Trait("gRFC", "A32")]
    public void MaxRequests_OfTheDefaultPriority_IsTaken()
    {
        var given = XdsResources.Cluster("c");
        given.CircuitBreakers = new Wire.CircuitBreakers { Thresholds = { new Wire.CircuitBreakers.Types.Thresholds { Priority = RoutingPriority.High, MaxRequests = 1 }, new Wire.CircuitBreakers.Types.Thresholds { MaxRequests = 7 } } };
        Assert.Equal(7, Valid<Cluster>(given).MaxRequests);
    }

    [Fact]
    [Trait("gRFC", "A29")]
    public void Tls_CurrentAndDeprecatedFields_AreRead()
    {
        var current = new CommonTlsContext { CombinedValidationContext = new() { DefaultValidationContext = new() { CaCertificateProviderInstance = new() { InstanceName = "default" }, MatchSubjectAltNames = { new Protos.Envoy.Matcher.StringMatcher { Exact = "spiffe://d/x" } } } } };
        var tls = Valid<Cluster>(With(current, "sni.example")).UpstreamTls!;
        Assert.Equal("sni.example", tls.Sni);
        Assert.True(tls.AllowedSubjects.Single().Matches("spiffe://d/x"));

        var plain = new CommonTlsContext { ValidationContext = new() { CaCertificateProviderInstance = new() { InstanceName = "default" } }, TlsCertificateProviderInstance = new() { InstanceName = "default" } };
        Assert.Empty(Valid<Cluster>(With(plain)).UpstreamTls!.AllowedSubjects);
        var deprecated = new CommonTlsContext { ValidationContextCertificateProviderInstance = new() { InstanceName = "default" } };
        Assert.NotNull(Valid<Cluster>(With(deprecated)).UpstreamTls);
        var istio = new CommonTlsContext { CombinedValidationContext = new() { DefaultValidationContext = new(), ValidationContextCertificateProviderInstance = new() { InstanceName = "default" } } };
        Assert.NotNull(Valid<Cluster>(With(istio)).UpstreamTls);
    }

    [Fact]
    [Trait("gRFC", "A29")]
    public void Tls_WhatWeWouldLeaveOut_IsRefused()
    {
        var given = new CommonTlsContext
        {
            TlsParams = new Empty(),
            CustomHandshaker = new Empty(),
            TlsCertificateSdsSecretConfigs = { new SdsSecretConfig { Name = "s" } },
            TlsCertificateProviderInstance = new() { InstanceName = "other" },
            ValidationContext = new() { CaCertificateProviderInstance = new() { InstanceName = "default" }, Crl = new Empty(), VerifyCertificateSpki = { "x" }, MatchSubjectAltNames = { new Protos.Envoy.Matcher.StringMatcher() } },
        };
        Invalid(With(given), $"{Common}.tls_params", $"{Common}.custom_handshaker", $"{Common}.tls_certificate_sds_secret_configs", $"{Common}.tls_certificate_provider_instance.instance_name",
            $"{Common}.validation_context.crl", $"{Common}.validation_context.verify_certificate_spki", $"{Common}.validation_context.match_subject_alt_names[0]");
        Invalid(With(new CommonTlsContext()), Common);
        Invalid(With(new CommonTlsContext { ValidationContextSdsSecretConfig = new() }), Common, $"{Common}.validation_context_sds_secret_config");
        Invalid(With(null), Common);
    }

    [Fact]
    public void Tls_OtherSocket_IsRefused()
    {
        var given = XdsResources.Cluster("c");
        given.TransportSocket = new TransportSocket { Name = "raw", TypedConfig = new Any { TypeUrl = "type.googleapis.com/raw" } };
        Invalid(given, "transport_socket.name", "transport_socket.typed_config");
    }

    private static Wire.Cluster With(CommonTlsContext? common, string sni = "")
    {
        var cluster = XdsResources.Cluster("c");
        cluster.TransportSocket = new TransportSocket
        {
            Name = "envoy.transport_sockets.tls",
            TypedConfig = Any.Pack(new UpstreamTlsContext { Sni = sni, CommonTlsContext = common }),
        };
        return cluster;
    }

    private static Wire.LoadBalancingPolicy Policies(params string[] types)
    {
        var list = new Wire.LoadBalancingPolicy();
        list.Policies.Add(types.Select(t => new Wire.LoadBalancingPolicy.Types.Policy { TypedExtensionConfig = new TypedExtensionConfig { TypedConfig = new Any { TypeUrl = "type.googleapis.com/" + t } } }));
        return list;
    }
}
