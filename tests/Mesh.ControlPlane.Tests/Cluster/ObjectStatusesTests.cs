using System.Text.Json.Nodes;
using Mesh.ControlPlane.Cluster;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources.Manifests;
using Mesh.ControlPlane.Tests.Sources;
using Mesh.Testing.Kubernetes;
using Xunit;
using KubeResource = Mesh.ControlPlane.Sources.Kubernetes.KubeResource;

namespace Mesh.ControlPlane.Tests.Cluster;

/// <summary>What routes and policies say of themselves (Gateway API, RouteStatus; GEP-713).</summary>
public sealed class ObjectStatusesTests
{
    private const string Services = """
        { apiVersion: v1, kind: Service, metadata: { name: cart, namespace: shop }, spec: { ports: [{ name: web, port: 80 }, { name: db, port: 5432, appProtocol: tcp }] } }
        ---
        { apiVersion: v1, kind: Service, metadata: { name: stock, namespace: depot }, spec: { ports: [{ port: 80 }] } }
        ---

        """;

    [Fact]
    public void Route_InForce_IsAcceptedAndResolvedAtItsPathAndGeneration()
    {
        var status = Assert.Single(StatusOf(Services + Route("rules: [{ backendRefs: [{ name: cart, port: 80 }] }]")));

        Assert.Equal("/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/cart", status.ResourcePath);
        Assert.Equal(3, status.Generation);
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse("""
            { "parents": [{
                "parentRef": { "group": "", "kind": "Service", "name": "cart", "port": 80 },
                "controllerName": "meshlib.io/control-plane",
                "conditions": [
                    { "type": "Accepted", "status": "True", "reason": "Accepted", "message": "The route is in force.", "observedGeneration": 3 },
                    { "type": "ResolvedRefs", "status": "True", "reason": "ResolvedRefs", "message": "Every backend was found.", "observedGeneration": 3 }] }] }
            """), status.Status), status.Status.ToJsonString());
    }

    [Theory]
    [InlineData("rules: [{ backendRefs: [{ name: nobody, port: 80 }] }]", "ResolvedRefs", "BackendNotFound", "nobody")]
    [InlineData("rules: [{ backendRefs: [{ name: cart, port: 81 }] }]", "ResolvedRefs", "BackendNotFound", "no port 81")]
    [InlineData("rules: [{ backendRefs: [{ name: stock, namespace: depot, port: 80 }] }]", "ResolvedRefs", "RefNotPermitted", "ReferenceGrant in 'depot'")]
    [InlineData("rules: [{ backendRefs: [{ name: b, kind: Bucket, group: store.example }] }]", "ResolvedRefs", "InvalidKind", "store.example/Bucket")]
    [InlineData("rules: [{ backendRefs: [{ name: cart, port: 5432 }] }]", "ResolvedRefs", "UnsupportedProtocol", "appProtocol 'tcp'")]
    [InlineData("rules: [{ filters: [{ type: CORS, cors: {} }], backendRefs: [{ name: cart, port: 80 }] }]", "Accepted", "UnsupportedValue", "CORS")]
    [InlineData("rules: [{ filters: [{ type: ExtensionRef, extensionRef: { group: g.example, kind: K, name: n } }], backendRefs: [{ name: cart, port: 80 }] }]", "Accepted", "UnsupportedValue", "g.example/K")]
    [InlineData("rules: [{ novelty: true, backendRefs: [{ name: cart, port: 80 }] }]", "Accepted", "UnsupportedValue", "spec.rules[0].novelty")]
    public void Route_SomethingThatCannotBe_IsSaidWithItsReason(string rules, string type, string reason, string text)
    {
        var condition = Condition(Assert.Single(StatusOf(Services + Route(rules))), type);

        Assert.Equal(("False", reason), ((string?)condition["status"], (string?)condition["reason"]));
        Assert.Contains(text, (string?)condition["message"], StringComparison.Ordinal);
    }

    [Fact]
    public void Route_OneRuleOfTwoCannotBe_IsPartiallyInvalid()
    {
        var status = Assert.Single(StatusOf(Services + Route("rules: [{ backendRefs: [{ name: cart, port: 80 }] }, { filters: [{ type: CORS, cors: {} }], backendRefs: [{ name: cart, port: 80 }] }]")));

        Assert.Equal("True", (string?)Condition(status, "Accepted")["status"]);
        var partial = Condition(status, "PartiallyInvalid");
        Assert.Equal(("True", "UnsupportedValue"), ((string?)partial["status"], (string?)partial["reason"]));
        Assert.StartsWith("Dropped Rule 1", (string?)partial["message"], StringComparison.Ordinal);
    }

    [Fact]
    public void Route_GrantedBackend_IsResolved()
    {
        var grant = """

            ---
            { apiVersion: gateway.networking.k8s.io/v1beta1, kind: ReferenceGrant, metadata: { name: g, namespace: depot }, spec: { from: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop }], to: [{ group: "", kind: Service }] } }
            """;
        var status = Assert.Single(StatusOf(Services + Route("rules: [{ backendRefs: [{ name: stock, namespace: depot, port: 80 }] }]") + grant));

        Assert.Equal("True", (string?)Condition(status, "ResolvedRefs")["status"]);
    }

    [Theory]
    [InlineData("{ group: \"\", kind: Service, name: nobody }", "nobody")]
    [InlineData("{ group: \"\", kind: Service, name: cart, port: 81 }", "no such port")]
    [InlineData("{ group: \"\", kind: Service, name: cart, sectionName: grpc }", "no such port")]
    public void Route_ParentThatIsNone_HasNoMatchingParent(string parent, string text)
    {
        var condition = Condition(Assert.Single(StatusOf(Services + Route("rules: [{ backendRefs: [{ name: cart, port: 80 }] }]", parent))), "Accepted");

        Assert.Equal(("False", "NoMatchingParent"), ((string?)condition["status"], (string?)condition["reason"]));
        Assert.Contains(text, (string?)condition["message"], StringComparison.Ordinal);
    }

    [Fact]
    public void Route_OfGatewaysOnly_IsNoneOfOurs() =>
        Assert.Empty(StatusOf(Services + Route("rules: [{ backendRefs: [{ name: cart, port: 80 }] }]", "{ name: edge }")));

    [Fact]
    public void Routes_TwoKindsAtOnePort_TheLowerIsConflicted()
    {
        var statuses = StatusOf(Services + Route("rules: [{ backendRefs: [{ name: cart, port: 80 }] }]") + "\n---\n" + Route("rules: [{ backendRefs: [{ name: cart, port: 80 }] }]", kind: "GRPCRoute"));

        Assert.Equal(["Accepted", "Conflicted"], statuses.Select(s => (string?)Condition(s, "Accepted")["reason"]));
        Assert.Contains("GRPCRoute 'shop/cart'", (string?)Condition(statuses[1], "Accepted")["message"], StringComparison.Ordinal);
    }

    [Fact]
    public void TcpRoutes_TwoAtOnePort_TheNewerIsConflicted()
    {
        static string Tcp(string name) => $$"""
            { apiVersion: gateway.networking.k8s.io/v1alpha2, kind: TCPRoute, metadata: { name: {{name}}, namespace: shop, generation: 3 }, spec: { parentRefs: [{ group: "", kind: Service, name: cart, port: 5432 }], rules: [{ backendRefs: [{ name: cart, port: 5432 }] } ] } }
            """;
        var statuses = StatusOf(Services + Tcp("first") + "\n---\n" + Tcp("second"));

        Assert.Equal(["Accepted", "Conflicted"], statuses.Select(s => (string?)Condition(s, "Accepted")["reason"]));
        Assert.StartsWith("/apis/gateway.networking.k8s.io/v1alpha2/namespaces/shop/tcproutes/", statuses[0].ResourcePath, StringComparison.Ordinal);
    }

    [Fact]
    public void Policy_Attached_HasAnAncestorForEachTarget()
    {
        var status = Assert.Single(StatusOf(Services + """
            { apiVersion: policy.meshlib.io/v1alpha1, kind: TimeoutPolicy, metadata: { name: t, namespace: shop, generation: 3 }, spec: { targetRefs: [{ group: "", kind: Service, name: cart, sectionName: web }, { group: "", kind: Service, name: gone }], request: 1s } }
            """));

        Assert.Equal("/apis/policy.meshlib.io/v1alpha1/namespaces/shop/timeoutpolicies/t", status.ResourcePath);
        var ancestors = status.Status["ancestors"]!.AsArray();
        Assert.Equal("web", (string?)ancestors[0]!["ancestorRef"]!["sectionName"]);
        Assert.Equal(["Accepted", "TargetNotFound"], ancestors.Select(a => (string?)a!["conditions"]![0]!["reason"]));
        Assert.All(ancestors, a => Assert.Equal("3", a!["conditions"]![0]!["observedGeneration"]!.ToJsonString()));
    }

    [Fact]
    public void Files_HaveNoStatus() => Assert.Empty(ObjectStatuses.StatusOf(Manifests.Model(Services + Route("rules: [{ backendRefs: [{ name: cart, port: 80 }] }]"))));

    private static JsonObject Condition(ObjectStatus status, string type) =>
        Assert.Single(status.Status["parents"]!.AsArray())!["conditions"]!.AsArray().Select(c => c!.AsObject()).Single(c => (string?)c["type"] == type);

    private static IReadOnlyList<ObjectStatus> StatusOf(string yaml)
    {
        var files = KubeYaml.Documents(yaml).Select(json =>
        {
            var (version, kind) = ((string)json["apiVersion"]!, (string)json["kind"]!);
            var (ns, name) = ((string)json["metadata"]!["namespace"]!, (string)json["metadata"]!["name"]!);
            var plural = kind.EndsWith('y') ? $"{kind[..^1].ToLowerInvariant()}ies" : $"{kind.ToLowerInvariant()}s";
            return ManifestFile.ReadObject($"{kind.ToLowerInvariant()}/{ns}/{name}", kind, json, lenient: kind == "Service",
                new ObjectOrigin(new KubeResource(KubeResource.RootOf(version), plural).PathOf(ns, name), json["metadata"]!["generation"] is { } generation ? long.Parse(generation.ToJsonString(), System.Globalization.CultureInfo.InvariantCulture) : 0), null);
        });
        return ObjectStatuses.StatusOf(Manifests.Assemble(files));
    }

    private static string Route(string rules, string parent = "{ group: \"\", kind: Service, name: cart, port: 80 }", string kind = "HTTPRoute") => $$"""
        apiVersion: gateway.networking.k8s.io/v1
        kind: {{kind}}
        metadata: { name: cart, namespace: shop, generation: 3 }
        spec:
          parentRefs: [{{parent}}]
          {{rules}}
        """;
}
