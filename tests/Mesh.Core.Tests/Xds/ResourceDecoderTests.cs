using CsCheck;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Mesh.Config;
using Mesh.Xds.Decoding;
using Xunit;
using static Mesh.Xds.DecodeAssert;

namespace Mesh.Xds;

public sealed class ResourceDecoderTests
{
    private static readonly string[] Types = [XdsTypes.Listener, XdsTypes.RouteConfiguration, XdsTypes.Cluster, XdsTypes.ClusterLoadAssignment, XdsTypes.LeafPolicy, XdsTypes.TrustBundle];

    private static readonly byte[][] Seeds =
    [
        XdsResources.Listener("l", "r").ToByteArray(),
        ListenerDecoderTests.Inbound("in").ToByteArray(),
        XdsResources.Routes("r", "c", "d").ToByteArray(),
        XdsResources.Cluster("c", "e").ToByteArray(),
        XdsResources.Endpoints("e", 1, 2, 3).ToByteArray(),
        new Protos.Identity.LeafPolicy { Name = "default", IssuedAfter = new Timestamp { Seconds = 7 } }.ToByteArray(),
        new Protos.Identity.TrustBundle { Name = "cluster.local", Roots = { ByteString.CopyFrom(new Mesh.Testing.TestCa("cluster.local").Root.RawData) }, RevokedIds = { "spiffe://cluster.local/a" }, RevokedSerials = { "1f" } }.ToByteArray(),
    ];

    [Fact]
    public void Types_OfTheProtos_AreThePublishedOnes()
    {
        Assert.Equal("envoy.config.listener.v3.Listener", Protos.Envoy.Listener.Listener.Descriptor.FullName);
        Assert.Equal("envoy.config.route.v3.RouteConfiguration", Protos.Envoy.Route.RouteConfiguration.Descriptor.FullName);
        Assert.Equal("envoy.config.cluster.v3.Cluster", Protos.Envoy.Cluster.Cluster.Descriptor.FullName);
        Assert.Equal("envoy.config.endpoint.v3.ClusterLoadAssignment", Protos.Envoy.Endpoint.ClusterLoadAssignment.Descriptor.FullName);
        Assert.Equal("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", Protos.Envoy.Hcm.HttpConnectionManager.Descriptor.FullName);
        Assert.Equal("envoy.extensions.filters.http.router.v3.Router", Protos.Envoy.Filters.Router.Descriptor.FullName);
        Assert.Equal("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", Protos.Envoy.Tls.UpstreamTlsContext.Descriptor.FullName);
        Assert.Equal("envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext", Protos.Envoy.Tls.DownstreamTlsContext.Descriptor.FullName);
        Assert.Equal("envoy.service.discovery.v3.Resource", Protos.Envoy.Discovery.Resource.Descriptor.FullName);
        Assert.Equal("envoy.service.discovery.v3.AggregatedDiscoveryService", Protos.Envoy.Discovery.AggregatedDiscoveryService.Descriptor.FullName);
        Assert.Equal(["StreamAggregatedResources", "DeltaAggregatedResources"], Protos.Envoy.Discovery.AggregatedDiscoveryService.Descriptor.Methods.Select(m => m.Name));
        Assert.Equal("envoy.config.route.v3.FilterConfig", Protos.Envoy.Route.FilterConfig.Descriptor.FullName);
        Assert.Equal("mesh.identity.v1.LeafPolicy", Protos.Identity.LeafPolicy.Descriptor.FullName);
        string[] ours =
        [
            Protos.Envoy.Listener.Listener.Descriptor.FullName, Protos.Envoy.Route.RouteConfiguration.Descriptor.FullName,
            Protos.Envoy.Cluster.Cluster.Descriptor.FullName, Protos.Envoy.Endpoint.ClusterLoadAssignment.Descriptor.FullName,
            Protos.Identity.LeafPolicy.Descriptor.FullName, Protos.Identity.TrustBundle.Descriptor.FullName,
        ];
        Assert.Equal(Types, ours.Select(name => "type.googleapis.com/" + name));
    }

    [Fact]
    public void Decode_UnknownType_IsTheCallersMistake() => Assert.Throws<ArgumentException>(() => ResourceDecoder.Decode("odd", ByteString.Empty));

    [Fact]
    public void Decode_RandomBytes_NeverThrows() => Gen.Byte.Array[0, 200].Sample(
        bytes =>
        {
            foreach (var type in Types)
            {
                Check(type, bytes);
            }
        },
        iter: 5_000);

    [Fact]
    public void Decode_MutatedResources_NeverThrow() => Gen.Select(Gen.Int[0, Seeds.Length - 1], Gen.Select(Gen.Int[0, 10_000], Gen.Byte).Array[1, 6]).Sample(
        (seed, changes) =>
        {
            var bytes = (byte[])Seeds[seed].Clone();
            foreach (var (at, value) in changes)
            {
                bytes[at % bytes.Length] = value;
            }

            foreach (var type in Types)
            {
                Check(type, bytes);
            }
        },
        iter: 20_000);

    [Fact]
    public void LeafPolicy_Forms_AreRead()
    {
        var at = DateTimeOffset.UnixEpoch.AddDays(20_000).AddTicks(70);
        Assert.Equal(at, Valid<LeafPolicy>(new Protos.Identity.LeafPolicy { Name = "default", IssuedAfter = Timestamp.FromDateTimeOffset(at) }).IssuedAfter);
        Assert.Equal(DateTimeOffset.MinValue, Valid<LeafPolicy>(new Protos.Identity.LeafPolicy { Name = "default" }).IssuedAfter);
        Invalid(new Protos.Identity.LeafPolicy { IssuedAfter = new Timestamp { Seconds = long.MaxValue } }, "name", "issued_after");
    }

    private static void Check(string type, byte[] bytes)
    {
        var result = ResourceDecoder.Decode(type, ByteString.CopyFrom(bytes));
        if (result.IsValid == result.Errors.Count > 0)
        {
            throw new InvalidOperationException($"{type}: either a model or errors, not {result}");
        }
    }
}
