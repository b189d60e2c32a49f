using Mesh.ControlPlane.Model;
using Xunit;

namespace Mesh.ControlPlane.Tests.Sources;

public class ModelAssemblerTests
{
    private static readonly ServiceName Cart = new("shop", "cart");

    private const string Pod = """
        apiVersion: v1
        kind: Pod
        metadata: {name: cart-0, namespace: shop, labels: {app: cart}}
        spec:
          serviceAccountName: cart-sa
          nodeSelector: {a: b}
          containers: [{name: c, image: x, ports: [{name: http, containerPort: 8080}]}]
        status: {podIP: 127.0.0.9, conditions: [{type: Ready, status: "False"}]}
        """;

    [Fact]
    public void EndpointOfAPod_RunsAsThePodsAccount()
    {
        var slice = Manifests.Slice("cart", "127.0.0.1", account: "other").Replace("{addresses: [127.0.0.1]}", "{addresses: [127.0.0.1], targetRef: {kind: Pod, name: cart-0}}", StringComparison.Ordinal);

        var endpoint = Assert.Single(Manifests.Model($"{Manifests.Service("cart")}\n---\n{slice}\n---\n{Pod}").Services[Cart].Endpoints);

        Assert.Equal("cart-sa", endpoint.ServiceAccount);
    }

    [Fact]
    public void EndpointWithoutPod_RunsAsTheSlicesAnnotation_ElseTheServices()
    {
        var service = Manifests.Service("cart").Replace("namespace: shop}", "namespace: shop, annotations: {meshlib.io/service-account: from-service}}", StringComparison.Ordinal);
        var slice = Manifests.Slice("cart", "127.0.0.1", account: "from-slice");
        var bare = string.Join('\n', slice.Split('\n').Where(l => !l.Contains("annotations", StringComparison.Ordinal)));

        Assert.Equal("from-slice", Manifests.Model($"{service}\n---\n{slice}").Services[Cart].Endpoints[0].ServiceAccount);
        Assert.Equal("from-service", Manifests.Model($"{service}\n---\n{bare}").Services[Cart].Endpoints[0].ServiceAccount);
        Assert.Null(Manifests.Model($"{Manifests.Service("cart")}\n---\n{bare}", "*").Services[Cart].Endpoints[0].ServiceAccount);
        Assert.False(Manifests.Model($"{Manifests.Service("cart")}\n---\n{bare}", "*").Services[Cart].Endpoints[0].Meshed);
    }

    [Fact]
    public void Mark_MakesTheEndpointMeshed()
    {
        var yaml = $"{Manifests.Service("cart")}\n---\n{Manifests.Slice("cart", "127.0.0.1")}";

        Assert.True(Manifests.Model(yaml, "127.0.0.1:8080").Services[Cart].Endpoints[0].Meshed);
        Assert.False(Manifests.Model(yaml, "127.0.0.1:8081").Services[Cart].Endpoints[0].Meshed);
    }

    [Theory]
    [InlineData("targetPort: http", 8080)]
    [InlineData("targetPort: 9000", 9000)]
    [InlineData("name: web", 80)]
    public void ServiceWithoutSlice_TakesThePodsItSelects(string target, int port)
    {
        var service = "apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\nspec: {selector: {app: cart}, ports: [{port: 80, " + target + "}]}\n";

        var endpoint = Assert.Single(Manifests.Model($"{service}\n---\n{Pod}").Services[Cart].Endpoints);

        Assert.Equal(("127.0.0.9", port, "cart-sa", false), (endpoint.Address, endpoint.Port, endpoint.ServiceAccount, endpoint.Ready));
    }

    [Fact]
    public void UnknownTargetPort_IsTold()
    {
        var service = "apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\nspec: {selector: {app: cart}, ports: [{port: 80, targetPort: grpc}]}\n";

        var model = Manifests.Model($"{service}\n---\n{Pod}");

        Assert.Contains("has no container port named 'grpc', which Service 'shop/cart' asks for", Assert.Single(model.Problems).What, StringComparison.Ordinal);
        Assert.Empty(model.Services[Cart].Endpoints);
    }

    [Fact]
    public void DanglingReferences_AreTold()
    {
        var slice = Manifests.Slice("gone", "127.0.0.1");
        var other = Manifests.Slice("cart", "127.0.0.1").Replace("{port: 8080}", "{name: x, port: 8080}", StringComparison.Ordinal);

        var problems = Manifests.Model($"{Manifests.Service("cart")}\n---\n{slice}\n---\n{other}").Problems;

        Assert.Contains(problems, p => p.What.Contains("its Service 'shop/gone' does not exist", StringComparison.Ordinal));
        Assert.Contains(problems, p => p.What.Contains("its port 'x' is no port of Service 'shop/cart' ('')", StringComparison.Ordinal));
    }

    [Fact]
    public void SameAddressInTwoSlices_StandsOnce()
    {
        var again = Manifests.Slice("cart", "127.0.0.1").Replace("cart-1", "cart-2", StringComparison.Ordinal);

        Assert.Single(Manifests.Model($"{Manifests.Service("cart")}\n---\n{Manifests.Slice("cart", "127.0.0.1")}\n---\n{again}").Services[Cart].Endpoints);
    }

    [Fact]
    public void Routes_AreOldestFirst_ThenByName()
    {
        static string Route(string name, string created) => $"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}, namespace: shop{created}}}\nspec: {{parentRefs: [{{group: \"\", kind: Service, name: cart}}], rules: [{{backendRefs: [{{name: cart, port: 80}}]}}]}}\n";

        var model = Manifests.Model(string.Join("\n---\n", Manifests.Service("cart"), Route("b", ""), Route("a", ""),
            Route("y", ", creationTimestamp: 2026-02-01T00:00:00Z"), Route("z", ", creationTimestamp: 2026-01-01T00:00:00Z")));

        Assert.Equal(["z", "y", "a", "b"], model.Routes.Select(r => r.Name));
        Assert.Empty(model.Problems);
    }

    [Fact]
    public void ReferenceGrant_OpensAnotherNamespace()
    {
        var route = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r, namespace: shop}\nspec: {parentRefs: [{group: \"\", kind: Service, name: cart}], rules: [{backendRefs: [{name: pay, namespace: bank, port: 80}]}]}\n";
        var grant = "apiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\nmetadata: {name: g, namespace: bank}\nspec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}], to: [{group: \"\", kind: Service}]}\n";
        var services = Manifests.Service("cart") + "\n---\n" + Manifests.Service("pay", ns: "bank");

        Assert.True(Manifests.Model($"{services}\n---\n{route}").Routes[0].Rules[0].Backends[0].Refused);
        var granted = Manifests.Model($"{services}\n---\n{route}\n---\n{grant}");
        Assert.False(granted.Routes[0].Rules[0].Backends[0].Refused);
        Assert.Empty(granted.Problems);
    }

    [Fact]
    public void List_IsReadAsItsItems()
    {
        var model = Manifests.Model("apiVersion: v1\nkind: List\nmetadata: {}\nitems:\n- {apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 1}]}}\n- {apiVersion: v1, kind: Service, metadata: {name: b}, spec: {ports: [{port: 1}]}}\n");

        Assert.Empty(model.Problems);
        Assert.Equal(2, model.Services.Count);
    }

    [Fact]
    public void GrpcRouteBesideHttpRoute_IsTold()
    {
        static string Route(string kind) => $"apiVersion: gateway.networking.k8s.io/v1\nkind: {kind}\nmetadata: {{name: r, namespace: shop}}\nspec: {{parentRefs: [{{group: \"\", kind: Service, name: cart}}], rules: [{{backendRefs: [{{name: cart, port: 80}}]}}]}}\n";

        var model = Manifests.Model(string.Join("\n---\n", Manifests.Service("cart"), Route("HTTPRoute"), Route("GRPCRoute")));

        Assert.Contains("goes first, so this route is not asked there", Assert.Single(model.Problems).What, StringComparison.Ordinal);
    }
}
