using Mesh.ControlPlane.Model;
using Xunit;

namespace Mesh.ControlPlane.Tests.Sources;

/// <summary>TLSRoutes, TCPRoutes and opaque ports: what is refused, with its line, and what is only told.</summary>
public class ConnectionRouteProblemsTests
{
    private const string Parents = "spec:\n  parentRefs: [{group: \"\", kind: Service, name: cart}]\n";
    private const string TcpHead = "apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: TCPRoute\nmetadata: {name: r, namespace: shop}\n" + Parents;
    private const string TlsHead = "apiVersion: gateway.networking.k8s.io/v1\nkind: TLSRoute\nmetadata: {name: r, namespace: shop}\n" + Parents;
    private const string Rules = "  rules: [{backendRefs: [{name: cart, port: 80}]}]\n";

    [Theory]
    [InlineData(TcpHead, "spec.rules is missing. Add one rule")]
    [InlineData(TcpHead + "  rules: [{backendRefs: [{name: cart, port: 80}]}, {backendRefs: [{name: cart, port: 80}]}]\n", "spec.rules has 2 entries. A TCPRoute has one")]
    [InlineData(TcpHead + "  rules: [{matches: [{path: {value: /}}], backendRefs: [{name: cart, port: 80}]}]\n", "rules[0].matches has no meaning for a TCPRoute")]
    [InlineData(TcpHead + "  rules: [{timeouts: {request: 1s}, backendRefs: [{name: cart, port: 80}]}]\n", "rules[0].timeouts has no meaning for a TCPRoute")]
    [InlineData(TcpHead + "  rules: [{backendRefs: [{name: cart, port: 80, filters: []}]}]\n", "backendRefs[0].filters has no meaning for a TCPRoute")]
    [InlineData(TcpHead + "  rules: [{backendRefs: [{name: cart}]}]\n", "backendRefs[0].port is missing")]
    [InlineData(TcpHead + "  hostnames: [a.test]\n" + Rules, "spec.hostnames is not a field")]
    [InlineData(TcpHead + "  rules: [{backendRef: []}]\n", "rules[0].backendRef is not a field")]
    [InlineData(TlsHead + Rules, "spec.hostnames is missing. Add the TLS server names")]
    [InlineData(TlsHead + "  hostnames: [\"*\"]\n" + Rules, "spec.hostnames[0] is '*'")]
    [InlineData(TlsHead + "  hostnames: [a.*.test]\n" + Rules, "spec.hostnames[0] is 'a.*.test'")]
    [InlineData(TlsHead + "  hostnames: [a.test, Upper.test]\n" + Rules, "spec.hostnames[1] is 'Upper.test'")]
    [InlineData(TlsHead + "  hostnames: [10.0.0.1]\n" + Rules, "spec.hostnames[0] is '10.0.0.1'")]
    [InlineData("apiVersion: gateway.networking.k8s.io/v1beta1\nkind: TLSRoute\nmetadata: {name: r}\n" + Parents, "Use 'gateway.networking.k8s.io/v1' for kind TLSRoute")]
    [InlineData("apiVersion: v1\nkind: Service\nmetadata: {name: a, annotations: {meshlib.io/opaque-ports: \"80,http\"}}\nspec: {ports: [{port: 80}]}\n", "annotation meshlib.io/opaque-ports is '80,http'. Write numbers")]
    [InlineData("apiVersion: v1\nkind: Service\nmetadata: {name: a, annotations: {meshlib.io/opaque-port: \"80\"}}\nspec: {ports: [{port: 80}]}\n", "Did you mean 'meshlib.io/opaque-ports'?")]
    public void Bad_IsRefused_WithLineReasonAndFix(string yaml, string what)
    {
        var model = Manifests.Model(yaml);

        Assert.Contains(model.Problems, p => p.Where.StartsWith("in.yaml:", StringComparison.Ordinal) && p.What.Contains(what, StringComparison.Ordinal));
        Assert.Empty(model.ConnectionRoutes);
        Assert.Empty(model.Services);
    }

    [Theory]
    [InlineData("  rules: [{backendRefs: []}]\n", "every connection of this rule is closed")]
    [InlineData("  rules: [{backendRefs: [{name: gone, port: 80}]}]\n", "its backend Service 'shop/gone' does not exist. Its share is closed")]
    [InlineData("  rules: [{backendRefs: [{name: cart, port: 81}]}]\n", "its backend Service 'shop/cart' has no port 81. Its share is closed")]
    [InlineData("  rules: [{backendRefs: [{name: cart, namespace: far, port: 80}]}]\n", "is in another namespace. Its share is closed until a ReferenceGrant in 'far' allows it")]
    [InlineData("  rules: [{backendRefs: [{kind: Secret, name: cart, port: 80}]}]\n", "the backend is a Secret. Its share is closed")]
    public void BadBackend_IsTold_AndTheRouteIsInForce(string rules, string what)
    {
        var model = Manifests.Model(Manifests.Service("cart") + "\n---\n" + TcpHead + rules);

        Assert.Contains(what, Assert.Single(model.Problems).What, StringComparison.Ordinal);
        Assert.DoesNotContain(Assert.Single(model.ConnectionRoutes).Backends, b => b.IsValid(model));
    }

    [Fact]
    public void Backend_OfAnotherNamespace_IsTakenWithAGrantForItsKind()
    {
        const string Grant = "apiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\nmetadata: {name: g, namespace: far}\nspec: {from: [{group: gateway.networking.k8s.io, kind: TCPRoute, namespace: shop}], to: [{group: \"\", kind: Service}]}\n";
        var model = Manifests.Model(string.Join("\n---\n", Manifests.Service("cart"), Manifests.Service("cart", ns: "far"), Grant, TcpHead + "  rules: [{backendRefs: [{name: cart, namespace: far, port: 80}]}]\n"));

        Assert.Empty(model.Problems);
        Assert.True(Assert.Single(Assert.Single(model.ConnectionRoutes).Backends).IsValid(model));
    }

    [Fact]
    public void Parent_Unknown_IsTold()
    {
        var model = Manifests.Model(TcpHead + Rules);

        Assert.Contains(model.Problems, p => p.What.Contains("its parent Service 'shop/cart' does not exist", StringComparison.Ordinal));
        Assert.Empty(Assert.Single(model.ConnectionRoutes).Parents);
    }

    [Theory]
    [InlineData("", false)]
    [InlineData("22", false)]
    [InlineData("79-81", true)]
    [InlineData(" 1 , 80 ", true)]
    [InlineData("80-80", true)]
    public void PortRanges_Contain(string text, bool contains)
    {
        Assert.True(PortRanges.TryParse(text, out var ranges));
        Assert.Equal(contains, ranges.Contains(80));
    }

    [Theory]
    [InlineData("0")]
    [InlineData("65536")]
    [InlineData("81-80")]
    [InlineData("-80")]
    [InlineData("80-")]
    [InlineData("80;81")]
    [InlineData("http")]
    public void PortRanges_Nonsense_IsRefused(string text) => Assert.False(PortRanges.TryParse(text, out _));
}
