using Grpc.Core;
using Mesh.ControlPlane.Tests.Hosting;
using Mesh.ControlPlane.Xds;
using Mesh.Protos.Envoy.Discovery;
using Mesh.Spiffe;
using Mesh.Testing;
using Mesh.Xds.Decoding;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Mesh.ControlPlane.Tests.Xds;

public sealed class MeshMarksTests
{
    private static readonly SpiffeId Cart = SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/cart");

    [Fact]
    public async Task InboundListener_OfAuthenticatedNode_IsMarkedAndSurvivesRestart()
    {
        var folder = Directory.CreateTempSubdirectory("mesh-cp-").FullName;
        await using (var controlPlane = await TestControlPlane.StartAsync(folder))
        {
            using var certificate = await controlPlane.JoinAsync("shop", "cart");
            using var channel = controlPlane.TlsChannel(certificate);
            await using var stream = new DeltaTestStream(channel);
            await stream.SendAsync(new DeltaDiscoveryRequest
            {
                Node = TestNode.Create(instanceIps: "10.0.0.7,fd00::7"),
                TypeUrl = XdsTypes.Listener,
                ResourceNamesSubscribe = { XdsTypes.InboundPrefix + "127.0.0.1:8080", XdsTypes.InboundPrefix + "0.0.0.0:9090", XdsTypes.InboundPrefix + "nonsense" },
            });
            await stream.ReadAsync();
            await Eventually.Async(() => controlPlane.Source.Refreshes > 0, "the source to be told");
            await Eventually.Async(() => controlPlane.Source.Marks.IsMeshed("[fd00::7]:9090", Cart), "the last mark to be in use");
            AssertMarked(controlPlane);
            Assert.False(controlPlane.Source.Marks.IsMeshed("127.0.0.1:8080", SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/payments")));
            var client = Assert.Single(controlPlane.Services.GetRequiredService<ClientRegistry>().Clients);
            Assert.Equal("shop", client.Node.Namespace);
            Assert.Equal(Cart, client.Node.Identity);
        }

        await using (var controlPlane = await TestControlPlane.StartAsync(folder))
        {
            AssertMarked(controlPlane);
        }

        Directory.Delete(folder, recursive: true);

        static void AssertMarked(TestControlPlane controlPlane)
        {
            foreach (var address in new[] { "127.0.0.1:8080", "10.0.0.7:9090", "[fd00::7]:9090" })
            {
                Assert.True(controlPlane.Source.Marks.IsMeshed(address, Cart), address);
            }
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    [Trait("gRFC", "A36")]
    public async Task GrpcServerListener_OfAuthenticatedNode_IsMarkedOnlyWhenItServesMeshTls(bool tls)
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var certificate = await controlPlane.JoinAsync("shop", "cart");
        using var channel = controlPlane.TlsChannel(certificate);
        await using var stream = new DeltaTestStream(channel);
        var node = TestNode.Create();
        node.UserAgentName = "gRPC C-core";
        node.Metadata.Fields["MESH_TLS"] = Google.Protobuf.WellKnownTypes.Value.ForString(tls ? "default" : "");
        await stream.SendAsync(new DeltaDiscoveryRequest { Node = node, TypeUrl = XdsTypes.Listener, ResourceNamesSubscribe = { XdsTypes.GrpcServerPrefix + "127.0.0.1:8080" } });
        await stream.ReadAsync();
        // Marks are made in order: when the second is there, the first would be.
        await stream.SendAsync(new DeltaDiscoveryRequest { TypeUrl = XdsTypes.Listener, ResourceNamesSubscribe = { XdsTypes.InboundPrefix + "127.0.0.1:9090" } });
        await Eventually.Async(() => controlPlane.Source.Marks.IsMeshed("127.0.0.1:9090", Cart), "the last mark to be in use");
        Assert.Equal(tls, controlPlane.Source.Marks.IsMeshed("127.0.0.1:8080", Cart));
    }

    [Fact]
    public async Task InboundListener_OnPlaintextPort_IsNotMarked()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var channel = controlPlane.PlaintextChannel();
        await using var stream = new DeltaTestStream(channel);
        await stream.SubscribeAsync(XdsTypes.Listener, XdsTypes.InboundPrefix + "127.0.0.1:8080");
        await stream.ReadAsync();
        Assert.False(controlPlane.Source.Marks.IsMeshed("127.0.0.1:8080", Cart));
        Assert.Equal("claimed", Assert.Single(controlPlane.Services.GetRequiredService<ClientRegistry>().Clients).Node.Namespace);
    }

    [Fact]
    public async Task Ads_OnTlsPortWithoutCertificate_IsUnauthenticated()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var channel = controlPlane.TlsChannel();
        await using var stream = new DeltaTestStream(channel);
        var refused = await Assert.ThrowsAsync<RpcException>(async () =>
        {
            await stream.SubscribeAsync(XdsTypes.Listener, "x");
            await stream.ReadAsync();
        });
        Assert.Equal(StatusCode.Unauthenticated, refused.StatusCode);
    }

    [Fact]
    public async Task BrokenMarksFile_StopsTheStart()
    {
        var folder = Directory.CreateTempSubdirectory("mesh-cp-").FullName;
        Directory.CreateDirectory(Path.Combine(folder, "data"));
        await File.WriteAllTextAsync(Path.Combine(folder, "data", "marks.json"), "{", TestContext.Current.CancellationToken);
        var refused = await Assert.ThrowsAsync<Mesh.Hosting.MeshConfigurationException>(() => TestControlPlane.StartAsync(folder));
        Assert.Contains("marks.json", refused.Message, StringComparison.Ordinal);
        Directory.Delete(folder, recursive: true);
    }
}
