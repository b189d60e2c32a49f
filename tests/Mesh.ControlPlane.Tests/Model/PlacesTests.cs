using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Tests.Sources;
using Mesh.Spiffe;
using Xunit;

namespace Mesh.ControlPlane.Tests.Model;

public sealed class PlacesTests
{
    private static readonly Places Places = new(Manifests.Model("""
        { apiVersion: v1, kind: Node, metadata: { name: n1, labels: { topology.kubernetes.io/region: eu, topology.kubernetes.io/zone: a } } }
        ---
        { apiVersion: v1, kind: Service, metadata: { name: near, namespace: shop }, spec: { trafficDistribution: PreferSameZone, ports: [{ port: 80 }] } }
        ---
        { apiVersion: v1, kind: Service, metadata: { name: any, namespace: shop }, spec: { ports: [{ port: 80 }] } }
        ---
        apiVersion: v1
        kind: Pod
        metadata: { name: cart-0, namespace: shop }
        spec: { serviceAccountName: cart, nodeName: n1, containers: [{ name: app, image: app }] }
        status: { podIP: 10.1.0.1, podIPs: [{ ip: 10.1.0.1 }, { ip: "fd00::1" }] }
        """));

    [Theory]
    [InlineData("cart", "10.1.0.1", "a")]
    [InlineData("cart", "fd00:0::1", "a")]
    [InlineData("cart", "10.1.0.2", "")]
    [InlineData("other", "10.1.0.1", "")]
    public void Of_NodeWithoutAPlace_IsThatOfItsOwnPod(string account, string address, string zone) =>
        Assert.Equal(zone, Places.Of(Node(account, address)).Zone);

    [Fact]
    public void Of_NodeThatSaysItsZone_IsBelievedAndItsPodGivesTheNode() =>
        Assert.Equal(new Place("eu", "b", "n1"), Places.Of(Node("cart", "10.1.0.1") with { Place = new Place("eu", "b", string.Empty) }));

    [Theory]
    [InlineData("outbound|80||near.shop.svc.cluster.local", true)]
    [InlineData("outbound|80||any.shop.svc.cluster.local", false)]
    [InlineData("outbound|80||near.other.svc.cluster.local", false)]
    [InlineData("near", false)]
    [InlineData("", false)]
    public void Matter_Cluster_OnlyOfServicesThatPrefer(string cluster, bool matters) => Assert.Equal(matters, Places.Matter(cluster));

    private static NodeContext Node(string account, string address) =>
        new("x", "shop", SpiffeId.ForServiceAccount(Manifests.TrustDomain, "shop", account)) { InstanceIps = [address] };
}
