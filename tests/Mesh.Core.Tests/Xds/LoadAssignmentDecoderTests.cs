using Google.Protobuf.WellKnownTypes;
using Mesh.Config;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Endpoint;
using Mesh.Spiffe;
using Mesh.Xds.Decoding;
using Xunit;
using static Mesh.Xds.DecodeAssert;
using Endpoint = Mesh.Config.Endpoint;

namespace Mesh.Xds;

public sealed class LoadAssignmentDecoderTests
{
    private const string First = "endpoints[0].lb_endpoints[0]";
    private const string Ours = $"{First}.metadata.filter_metadata[\"io.meshlib\"]";

    [Fact]
    public void Assignment_Empty_IsValid() => Assert.Empty(Valid<LoadAssignment>(new ClusterLoadAssignment { ClusterName = "c" }).Localities);

    [Fact]
    public void Endpoints_V4AndV6_AreRead()
    {
        var given = XdsResources.Endpoints("c", 80);
        given.Endpoints[0].LbEndpoints.Add(XdsResources.LbEndpoint("FE80::0:1", 81));
        given.Endpoints[0].LbEndpoints[1].LoadBalancingWeight = 9;
        Assert.Equal(["127.0.0.1:80", "[fe80::1]:81"], All(given).Select(e => e.HostPort));
        Assert.Equal([1, 9], All(given).Select(e => e.Weight));
    }

    [Theory]
    [InlineData((int)HealthStatus.Unknown, true)]
    [InlineData((int)HealthStatus.Healthy, true)]
    [InlineData((int)HealthStatus.Unhealthy, false)]
    [InlineData((int)HealthStatus.Draining, false)]
    [InlineData((int)HealthStatus.Timeout, false)]
    [InlineData((int)HealthStatus.Degraded, false)]
    public void Health_Status_IsUnderstood(int status, bool healthy)
    {
        var given = XdsResources.Endpoints("c", 80);
        given.Endpoints[0].LbEndpoints[0].HealthStatus = (HealthStatus)status;
        Assert.Equal(healthy, All(given).Single().Healthy);
    }

    [Theory]
    [InlineData("catalog")]
    [InlineData("127.1")]
    [InlineData("1")]
    [InlineData("[::1]")]
    [InlineData("")]
    public void Address_NoIp_IsRefused(string address)
    {
        var given = XdsResources.Endpoints("c", 80);
        given.Endpoints[0].LbEndpoints[0] = XdsResources.LbEndpoint(address, 80);
        Invalid(given, $"{First}.endpoint.address.socket_address.address");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(65536)]
    [InlineData(-1)]
    public void Port_OutOfRange_IsRefused(int port) => Invalid(XdsResources.Endpoints("c", port), $"{First}.endpoint.address.socket_address.port_value");

    [Fact]
    public void Endpoints_Wrong_EveryErrorIsNamed()
    {
        var given = XdsResources.Endpoints("", 80, 80, 81);
        given.Endpoints[0].LbEndpoints[2].LoadBalancingWeight = 0;
        given.Endpoints[0].LbEndpoints.Add(new LbEndpoint { EndpointName = "x" });
        given.Endpoints.Add(new LocalityLbEndpoints { LoadBalancingWeight = 1 });
        given.Policy = new ClusterLoadAssignment.Types.Policy { DropOverloads = { new ClusterLoadAssignment.Types.Policy.Types.DropOverload { Category = "c", DropPercentage = new() { Numerator = 1, Denominator = (Protos.Envoy.Type.FractionalPercent.Types.DenominatorType)9 } } } };
        Invalid(given, "cluster_name", "endpoints[0].lb_endpoints[1]", "endpoints[0].lb_endpoints[2].load_balancing_weight", "endpoints[0].lb_endpoints[3].endpoint.address.socket_address", "endpoints[1].locality", "policy.drop_overloads[0].drop_percentage.denominator");
    }

    [Fact]
    public void Localities_WithoutWeight_AreSkipped()
    {
        var given = XdsResources.Endpoints("c", 80);
        given.Endpoints.Add(XdsResources.Endpoints("c", 81).Endpoints[0]);
        given.Endpoints[1].LoadBalancingWeight = null;
        given.Endpoints.Add(XdsResources.Endpoints("c", 82).Endpoints[0]);
        given.Endpoints[2].LoadBalancingWeight = 0;
        Assert.Equal([80], All(given).Select(e => e.Port));
    }

    [Fact]
    public void Localities_RepeatedOrGap_IsRefused()
    {
        var given = XdsResources.Endpoints("c", 80);
        given.Endpoints.Add(XdsResources.Endpoints("c", 81).Endpoints[0]);
        Invalid(given, "endpoints[1]");
        given.Endpoints[1].Priority = 2;
        Invalid(given, "endpoints");
        given.Endpoints[1].Priority = 1;
        Assert.Equal([0, 1], Valid<LoadAssignment>(given).Localities.Select(l => l.Priority));
    }

    [Fact]
    public void Weights_Large_KeepTheirSharesTooLargeIsRefused()
    {
        var given = XdsResources.Endpoints("c", 80);
        given.Endpoints.Add(XdsResources.Endpoints("c", 81).Endpoints[0]);
        given.Endpoints[1].Locality.Zone = "z";
        given.Endpoints[0].LoadBalancingWeight = 3_000_000_000;
        given.Endpoints[1].LoadBalancingWeight = 1_000_000_000;
        Assert.Equal([750_000_000, 250_000_000], Valid<LoadAssignment>(given).Localities.Select(l => l.Weight));
        given.Endpoints[1].LoadBalancingWeight = uint.MaxValue;
        Invalid(given, "endpoints");
    }

    [Fact]
    public void Metadata_Mesh_IsRead()
    {
        var endpoint = All(WithMetadata(("tls", Value.ForString("mesh")), ("spiffe_id", Value.ForString("spiffe://d/ns/a/sa/b")), ("protocols", Value.ForList(Value.ForString("h2"))))).Single();
        Assert.Equal((EndpointTls.Mesh, SpiffeId.Parse("spiffe://d/ns/a/sa/b"), true), (endpoint.Tls, endpoint.SpiffeId, endpoint.SpeaksHttp2));
        endpoint = All(WithMetadata(("tls", Value.ForString("none")))).Single();
        Assert.Equal((EndpointTls.None, null, false), (endpoint.Tls, endpoint.SpiffeId, endpoint.SpeaksHttp2));
        Assert.False(endpoint.SpeaksTcp);
        endpoint = All(WithMetadata(("tls", Value.ForString("none")), ("protocols", Value.ForList(Value.ForString("h1"), Value.ForString("tcp"))))).Single();
        Assert.Equal((false, true), (endpoint.SpeaksHttp2, endpoint.SpeaksTcp));
    }

    [Fact]
    public void Metadata_MeshWithoutIdentity_IsRefused()
    {
        Invalid(WithMetadata(("tls", Value.ForString("mesh"))), $"{Ours}.spiffe_id");
        Invalid(WithMetadata(("tls", Value.ForString("mesh")), ("spiffe_id", Value.ForString("https://d/x"))), $"{Ours}.spiffe_id");
        Invalid(WithMetadata(("tls", Value.ForBool(true)), ("spiffe_id", Value.ForString("spiffe://d/x"))), $"{Ours}.tls");
    }

    private static ClusterLoadAssignment WithMetadata(params (string Key, Value Value)[] fields)
    {
        var given = XdsResources.Endpoints("c", 80);
        var ours = new Struct();
        foreach (var (key, value) in fields)
        {
            ours.Fields[key] = value;
        }

        given.Endpoints[0].LbEndpoints[0].Metadata = new Metadata { FilterMetadata = { [XdsTypes.MetadataKey] = ours } };
        return given;
    }

    private static List<Endpoint> All(ClusterLoadAssignment given) => [.. Valid<LoadAssignment>(given).Localities.SelectMany(l => l.Endpoints)];
}
