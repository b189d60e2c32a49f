using System.Collections.Immutable;
using Grpc.Core;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Tests.Hosting;
using Mesh.Hosting;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Discovery;
using Mesh.Spiffe;
using Mesh.Testing;
using Mesh.Xds;
using Mesh.Xds.Decoding;
using Xunit;

namespace Mesh.ControlPlane.Tests.Xds;

/// <summary>What stands behind an open stream of a sidecar is in the mesh.</summary>
public sealed class SidecarMarksTests
{
    private static readonly SpiffeId Cart = SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/cart");

    [Fact]
    public async Task Sidecar_EveryEndpointOfItsIdentityAtItsAddresses_IsMarked_AlsoLaterOnes()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        controlPlane.Source.Publish(Model(("10.0.0.7", 8080, "cart"), ("10.0.0.7", 22, "cart"), ("10.0.0.7", 9005, "cart"), ("10.0.0.7", 8081, "other"), ("10.0.0.8", 8080, "cart"), ("fd00::7", 8080, "cart")));
        using var certificate = await controlPlane.JoinAsync("shop", "cart");
        using var channel = controlPlane.TlsChannel(certificate);
        await using var stream = new SotwTestStream(channel);
        await stream.SendAsync(new DiscoveryRequest { Node = Node(), TypeUrl = XdsTypes.Listener, ResourceNames = { "x" } });
        await Eventually.Async(() => Speaks("[fd00::7]:8080") && Speaks("10.0.0.7:8080"), "what was there at the start");
        Assert.All(["10.0.0.7:22", "10.0.0.7:9005", "10.0.0.7:8081", "10.0.0.8:8080"], a => Assert.False(controlPlane.Source.Marks.IsMeshed(a, Cart), a));

        // FakeSource publishes an empty model when marks change, which may come after ours.
        await Eventually.Async(
            () =>
            {
                controlPlane.Source.Publish(Model(("10.0.0.7", 8080, "cart"), ("10.0.0.7", 9999, "cart")));
                return Speaks("10.0.0.7:9999");
            },
            "what came later");

        bool Speaks(string hostPort) => controlPlane.Source.Marks.IsMeshed(hostPort, Cart) && controlPlane.Source.Marks.IsTransparent(hostPort, Cart);
    }

    [Fact]
    public async Task InboundListener_OfASidecar_IsMarkedAsSuch_AndOfTheAppAgainNot()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var certificate = await controlPlane.JoinAsync("shop", "cart");
        using var channel = controlPlane.TlsChannel(certificate);
        await using (var sidecar = new SotwTestStream(channel))
        {
            await sidecar.SendAsync(new DiscoveryRequest { Node = Node(), TypeUrl = XdsTypes.Listener, ResourceNames = { XdsTypes.InboundPrefix + "10.0.0.7:8080" } });
            await Eventually.Async(() => controlPlane.Source.Marks.IsTransparent("10.0.0.7:8080", Cart), "the sidecar's mark");
        }

        await using var app = new SotwTestStream(channel);
        await app.SubscribeAsync(XdsTypes.Listener, XdsTypes.InboundPrefix + "10.0.0.7:8080");
        await Eventually.Async(() => !controlPlane.Source.Marks.IsTransparent("10.0.0.7:8080", Cart), "the app's mark");
        Assert.True(controlPlane.Source.Marks.IsMeshed("10.0.0.7:8080", Cart));
    }

    [Fact]
    public async Task Sidecar_WithoutIdentity_MarksNothing()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        controlPlane.Source.Publish(Model(("10.0.0.7", 8080, "cart")));
        using var channel = controlPlane.PlaintextChannel();
        await using var stream = new SotwTestStream(channel);
        await stream.SendAsync(new DiscoveryRequest { Node = Node(), TypeUrl = XdsTypes.Listener, ResourceNames = { "x" } });
        await stream.ReadAsync();

        Assert.False(controlPlane.Source.Marks.IsMeshed("10.0.0.7:8080", Cart));
    }

    [Fact]
    public async Task SkipInboundPorts_Nonsense_IsRefused()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var channel = controlPlane.PlaintextChannel();
        await using var stream = new SotwTestStream(channel);
        var refused = await Assert.ThrowsAsync<RpcException>(async () =>
        {
            await stream.SendAsync(new DiscoveryRequest { Node = Node("22,ssh"), TypeUrl = XdsTypes.Listener, ResourceNames = { "x" } });
            await stream.ReadAsync();
        });

        Assert.Equal(StatusCode.InvalidArgument, refused.StatusCode);
        Assert.Contains("22,ssh", refused.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Manifests_EndpointBehindASidecar_IsSentAsMeshWithTcp()
    {
        var folder = Directory.CreateTempSubdirectory("mesh-cp-").FullName;
        await File.WriteAllTextAsync(Path.Combine(Directory.CreateDirectory(Path.Combine(folder, "config")).FullName, "cart.yaml"), $"""
            {Sources.Manifests.Service("cart")}
            ---
            {Sources.Manifests.Slice("cart", "10.0.0.7", 3306, account: "cart")}
            """, TestContext.Current.CancellationToken);
        await using (var controlPlane = await TestControlPlane.StartAsync(folder, fromFiles: true))
        {
            using var certificate = await controlPlane.JoinAsync("shop", "cart");
            using var channel = controlPlane.TlsChannel(certificate);
            await using var client = new DeltaTestStream(channel);
            await client.SubscribeAsync(XdsTypes.ClusterLoadAssignment, "outbound|80||cart.shop.svc.cluster.local");
            Assert.Equal((Config.EndpointTls.None, false), Endpoint(await client.ReadAsync()));

            await using var sidecar = new DeltaTestStream(channel);
            await sidecar.SendAsync(new DeltaDiscoveryRequest { Node = Node(), TypeUrl = XdsTypes.Listener, ResourceNamesSubscribe = { "x" } });
            Assert.Equal((Config.EndpointTls.Mesh, true), Endpoint(await client.ReadAsync()));
        }

        Directory.Delete(folder, recursive: true);
    }

    /// <summary>As a sidecar's host tells it.</summary>
    private static Node Node(string skip = "22,9000-9010")
    {
        var local = new LocalNode("cart~1~shop", "shop", "cart", "cart", ["10.0.0.7", "FD00:0::7"]) { IsTransparent = true, SkipInboundPorts = skip };
        return new XdsNode(local.Id, local.Namespace, local.ServiceAccount, local.Workload, local.InstanceIps) { IsTransparent = local.IsTransparent, SkipInboundPorts = local.SkipInboundPorts }.ToProto();
    }

    private static (Config.EndpointTls, bool) Endpoint(DeltaDiscoveryResponse response)
    {
        var resource = Assert.Single(response.Resources).Resource_;
        var assignment = Assert.IsType<Config.LoadAssignment>(ResourceDecoder.Decode(resource.TypeUrl, resource.Value).Model);
        var endpoint = Assert.Single(Assert.Single(assignment.Localities).Endpoints);
        return (endpoint.Tls, endpoint.SpeaksTcp);
    }

    private static MeshModel Model(params (string Address, int Port, string Account)[] endpoints)
    {
        var name = new ServiceName("shop", "cart");
        var all = endpoints.Select(e => new ServiceEndpoint("web", e.Address, e.Port, e.Account, true, string.Empty, false)).ToImmutableArray();
        return new MeshModel { Services = ImmutableDictionary<ServiceName, Service>.Empty.Add(name, new Service(name, [new ServicePort("web", 80, null)], all)) };
    }
}
