using Mesh.ControlPlane.Model;
using Xunit;

namespace Mesh.ControlPlane.Tests.Sources;

/// <summary>Each bad input is told with its line, what is wrong with it and what to do.</summary>
public class ManifestProblemsTests
{
    private const string Head = "apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\n";
    private const string SliceHead = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: cart-1, namespace: shop, labels: {kubernetes.io/service-name: cart}}\n";
    private const string RouteHead = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r, namespace: shop}\nspec:\n  parentRefs: [{group: \"\", kind: Service, name: cart}]\n  rules:\n";
    private const string GrpcHead = "apiVersion: gateway.networking.k8s.io/v1\nkind: GRPCRoute\nmetadata: {name: r, namespace: shop}\nspec:\n  parentRefs: [{group: \"\", kind: Service, name: cart}]\n  rules:\n";
    private const string Backend = "    backendRefs: [{name: cart, port: 80}]\n";

    [Theory]
    [InlineData("a: [", "in.yaml:2", "is no valid YAML")]
    [InlineData(": \n{\n\ufffd", "in.yaml:1", "is no valid YAML")]
    [InlineData("a: 1\nb:\n  c: 2\n\td: 3\n", "in.yaml:4", "is no valid YAML")]
    [InlineData("a: 1\nspec:\n\tports: [\n", "in.yaml:3", "found invalid tab as indentation")]
    [InlineData("a: 1\nb: {x\n", "in.yaml", "Correct the line. Nothing of it is used.")]
    [InlineData("- a\n", "in.yaml:1", "The document is a list. Write an object with apiVersion, kind and metadata.")]
    [InlineData("kind: Service\nmetadata: {name: x}\n", "in.yaml:1", "apiVersion is missing")]
    [InlineData("apiVersion: v1\nkind: Servise\nmetadata: {name: x}\n", "in.yaml:2", "kind 'Servise' (v1) is not read from files and has no effect. Did you mean 'Service'?")]
    [InlineData("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n", "in.yaml:2", "Read are Service, EndpointSlice, Pod, Node, Namespace, HTTPRoute, GRPCRoute, TLSRoute, TCPRoute, ReferenceGrant, DirectResponse, RetryPolicy, TimeoutPolicy, LoadBalancingPolicy, OutlierPolicy, RateLimitPolicy, FaultPolicy, ConcurrencyPolicy, MatchPolicy, AuthorizationPolicy, ServerPolicy, RequestAuthentication, List.")]
    [InlineData("apiVersion: v2\nkind: Service\nmetadata: {name: x}\n", "in.yaml:1", "apiVersion is 'v2'. Use 'v1' for kind Service.")]
    [InlineData("apiVersion: gateway.networking.k8s.io/v1beta1\nkind: HTTPRoute\nmetadata: {name: x}\n", "in.yaml:1", "Use 'gateway.networking.k8s.io/v1' for kind HTTPRoute.")]
    [InlineData("apiVersion: v1\nkind: Service\nspec: {ports: [{port: 1}]}\n", "in.yaml:1", "metadata is missing")]
    [InlineData("apiVersion: v1\nkind: Service\nmetadata: {namespace: shop}\nspec: {ports: [{port: 1}]}\n", "in.yaml:3", "metadata.name is missing")]
    [InlineData("apiVersion: v1\nkind: Service\nmetadata: {name: Cart}\nspec: {ports: [{port: 1}]}\n", "in.yaml:3", "Service 'default/Cart': metadata.name is 'Cart'. Use 1–63 of a–z")]
    [InlineData("apiVersion: v1\nkind: Service\nmetadata: {name: 12}\nspec: {ports: [{port: 1}]}\n", "in.yaml:3", "which YAML reads as no text. Put it in quotes: \"12\".")]
    [InlineData("apiVersion: v1\nkind: Service\nmetadata: {name: x, namespace: a.b}\nspec: {ports: [{port: 1}]}\n", "in.yaml:3", "metadata.namespace is 'a.b'")]
    [InlineData("apiVersion: v1\nkind: Service\nmetadata: {name: x, lables: {a: b}}\nspec: {ports: [{port: 1}]}\n", "in.yaml:3", "metadata.lables is not a field. Did you mean 'labels'?")]
    [InlineData("apiVersion: v1\nkind: Service\nmetadata: {name: x, annotations: {meshlib.io/service-acount: a}}\nspec: {ports: [{port: 1}]}\n", "in.yaml:3", "Did you mean 'meshlib.io/service-account'?")]
    [InlineData("apiVersion: v1\nkind: Service\nmetadata: {name: x, annotations: {meshlib.io/service-account: A B}}\nspec: {ports: [{port: 1}]}\n", "in.yaml:3", "is 'A B', which is no service account")]
    [InlineData(Head, "in.yaml:1", "Service 'shop/cart': spec is missing")]
    [InlineData(Head + "spec: {ports: []}\n", "in.yaml:4", "spec.ports is missing. Add at least one port.")]
    [InlineData(Head + "spec: {ports: {port: 80}}\n", "in.yaml:4", "spec.ports is a mapping. Write a list")]
    [InlineData(Head + "spec:\n  ports:\n  - port: 70000\n", "in.yaml:6", "spec.ports[0].port is '70000'. Use a whole number from 1 to 65535.")]
    [InlineData(Head + "spec:\n  ports:\n  - port: \"80\"\n", "in.yaml:6", "from 1 to 65535 without quotes")]
    [InlineData(Head + "spec:\n  ports:\n  - port: 80\n    targetport: 8080\n", "in.yaml:7", "spec.ports[0].targetport is not a field. Did you mean 'targetPort'?")]
    [InlineData(Head + "spec:\n  ports:\n  - {port: 80}\n  - {port: 81, name: b}\n", "in.yaml:6", "spec.ports[0].name is missing. Every port")]
    [InlineData(Head + "spec:\n  ports:\n  - {port: 80, name: a}\n  - {port: 80, name: b}\n", "in.yaml:7", "spec.ports[1].port is '80'. Another port of this Service has that number")]
    [InlineData(Head + "spec:\n  ports:\n  - {port: 80, name: a}\n  - {port: 81, name: a}\n", "in.yaml:7", "Another port has that name")]
    [InlineData(Head + "spec:\n  ports:\n  - {port: 80, protocol: HTTP}\n", "in.yaml:6", "spec.ports[0].protocol is 'HTTP'. Use TCP, UDP, SCTP.")]
    [InlineData(Head + "spec:\n  type: ExternalName\n  externalName: a_b\n  ports: [{port: 80}]\n", "in.yaml:6", "RFC 1123 subdomain")]
    [InlineData(Head + "spec:\n  clusterIP: 10.0.0\n  ports: [{port: 80}]\n", "in.yaml:5", "spec.clusterIP is '10.0.0', which is no IP address")]
    [InlineData("apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: a}\naddressType: IPv4\n", "in.yaml:3", "has no 'kubernetes.io/service-name'")]
    [InlineData(SliceHead + "endpoints: []\n", "in.yaml:1", "addressType is missing")]
    [InlineData(SliceHead + "addressType: IPv5\n", "in.yaml:4", "addressType is 'IPv5'. Use IPv4, IPv6, FQDN. Did you mean 'IPv4'?")]
    [InlineData(SliceHead + "addressType: IPv4\nendpoints:\n- addresses: [\"::1\"]\n", "in.yaml:6", "endpoints[0].addresses[0] is '::1', which is not IPv4")]
    [InlineData(SliceHead + "addressType: IPv4\nendpoints:\n- addresses: [0.0.0.0]\n", "in.yaml:6", "stands for every address")]
    [InlineData(SliceHead + "addressType: IPv4\nendpoints:\n- addresses: [169.254.0.1]\n", "in.yaml:6", "is link-local")]
    [InlineData(SliceHead + "addressType: IPv4\nendpoints:\n- addresses: [cart.internal]\n", "in.yaml:6", "for a name use addressType: FQDN")]
    [InlineData(SliceHead + "addressType: IPv4\nendpoints:\n- adresses: [127.0.0.1]\n", "in.yaml:6", "endpoints[0].adresses is not a field. Did you mean 'addresses'?")]
    [InlineData(SliceHead + "addressType: IPv4\nendpoints:\n- addresses: [127.0.0.1]\n  conditions: {ready: yes}\n", "in.yaml:7", "endpoints[0].conditions.ready is 'yes'. Use true or false.")]
    [InlineData(SliceHead + "addressType: IPv4\nports: [{name: http}]\n", "in.yaml:5", "ports[0].port is missing. Add a number from 1 to 65535.")]
    [InlineData(RouteHead + "  - backendRefs: [{name: cart}]\n", "in.yaml:7", "spec.rules[0].backendRefs[0].port is missing")]
    [InlineData(RouteHead + "  - backendRefs: [{name: cart, port: 80, weigth: 10}]\n", "in.yaml:7", "weigth is not a field. Did you mean 'weight'?")]
    [InlineData(RouteHead + "  - backendRefs: [{name: cart, port: 80, weight: -1}]\n", "in.yaml:7", "weight is '-1'. Use a whole number from 0 to 1000000.")]
    [InlineData(RouteHead + "  - matches: [{path: {value: cart}}]\n" + Backend, "in.yaml:7", "spec.rules[0].matches[0].path.value is 'cart'. Start it with '/'.")]
    [InlineData(RouteHead + "  - matches: [{path: {type: Prefix, value: /}}]\n" + Backend, "in.yaml:7", "Use Exact, PathPrefix, RegularExpression.")]
    [InlineData(RouteHead + "  - matches: [{path: {type: RegularExpression, value: \"(a\"}}]\n" + Backend, "in.yaml:7", "Use a regular expression in RE2 syntax")]
    [InlineData(RouteHead + "  - matches: [{path: {type: RegularExpression, value: \"(?=a)b\"}}]\n" + Backend, "in.yaml:7", "without look-around")]
    [InlineData(RouteHead + "  - matches: [{method: get}]\n" + Backend, "in.yaml:7", "Did you mean 'GET'?")]
    [InlineData(RouteHead + "  - timeouts: {request: 5}\n" + Backend, "in.yaml:7", "spec.rules[0].timeouts.request is '5'")]
    [InlineData(RouteHead + "  - timeouts: {request: 5 s}\n" + Backend, "in.yaml:7", "such as 1s, 500ms or 1m30s")]
    [InlineData(RouteHead + "  - timeouts: {request: 1s, backendRequest: 2s}\n" + Backend, "in.yaml:7", "It cannot be longer than timeouts.request (1s).")]
    [InlineData(RouteHead + "  - retry: {codes: [200]}\n" + Backend, "in.yaml:7", "Write a list of status codes from 400 to 599.")]
    [InlineData(RouteHead + "  - retry: {attempts: 99}\n" + Backend, "in.yaml:7", "spec.rules[0].retry.attempts is '99'")]
    [InlineData(GrpcHead + "  - timeouts: {request: 1s}\n" + Backend, "in.yaml:7", "spec.rules[0].timeouts is not a field")]
    [InlineData(GrpcHead + "  - matches: [{method: {service: a/b}}]\n" + Backend, "in.yaml:7", "Use a full protobuf service name")]
    [InlineData(GrpcHead + "  - matches: [{method: {}}]\n" + Backend, "in.yaml:7", "Give service, method or both.")]
    [InlineData("apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec:\n  parentRefs: [{kind: Service, name: a}]\n  rules: [{}]\n", "in.yaml:5", "Write group: \"\" (the core group).")]
    [InlineData("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: []}\n", "in.yaml:4", "spec.containers is missing")]
    [InlineData("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, ports: [{containerPort: 0}]}]}\n", "in.yaml:4", "containerPort is '0'")]
    [InlineData("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c}]}\nstatus: {podIP: nowhere}\n", "in.yaml:5", "status.podIP is 'nowhere'")]
    [InlineData("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {serviceAcountName: a, containers: [{name: c}]}\n", "in.yaml:4", "spec.serviceAcountName is not a field. Did you mean 'serviceAccountName'?")]
    [InlineData("apiVersion: v1\nkind: List\nitem: []\n", "in.yaml:3", "item is not a field. Did you mean 'items'?")]
    public void BadInput_IsRefused_WithLineReasonAndFix(string yaml, string where, string what)
    {
        var model = Manifests.Model(yaml);

        Assert.Contains(model.Problems, p => p.Where.StartsWith(where, StringComparison.Ordinal) && p.What.Contains(what, StringComparison.Ordinal));
        Assert.All(model.Problems, p => Assert.EndsWith(" used.", p.What, StringComparison.Ordinal));
        Assert.Empty(model.Services);
        Assert.Empty(model.Routes);
    }

    [Theory]
    [InlineData(RouteHead + "  - filters: [{type: CORS}]\n" + Backend, "has a CORS, which is not supported here. Every call of this rule is answered 500 until it is removed.")]
    [InlineData(RouteHead + "  - backendRefs: [{name: cart, port: 80, filters: [{type: URLRewrite}]}]\n", "This backend's share is answered 500 until it is removed.")]
    [InlineData(RouteHead + "  - backendRefs: [{name: gone, port: 80}]\n", "its backend Service 'shop/gone' does not exist. Its share is answered 500")]
    [InlineData(RouteHead + "  - backendRefs: [{name: cart, port: 81}]\n", "has no port 81. Its share is answered 500: use one of 80.")]
    [InlineData(RouteHead + "  - backendRefs: [{name: cart, namespace: other, port: 80}]\n", "is in another namespace. Its share is answered 500 until a ReferenceGrant in 'other' allows it.")]
    [InlineData(RouteHead + "  - backendRefs: [{kind: Bucket, group: x.io, name: cart}]\n", "the backend is a x.io/Bucket. Its share is answered 500")]
    [InlineData(RouteHead + "  - {}\n", "backendRefs is empty: every call of this rule is answered 500")]
    [InlineData(GrpcHead + "  - {}\n", "backendRefs is empty: every call of this rule fails as UNAVAILABLE")]
    [InlineData(RouteHead + "  - sessionPersistence: {idleTimeout: 5s}\n" + Backend, "sessionPersistence.idleTimeout has no effect")]
    [InlineData("apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec:\n  hostnames: [a.b]\n  parentRefs: [{group: \"\", kind: Service, name: cart, namespace: shop}]\n  rules: [{backendRefs: [{name: a, port: 1}]}]\n", "spec.hostnames has no meaning")]
    [InlineData("apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec:\n  parentRefs: [{name: edge}]\n  rules: [{backendRefs: [{name: a, port: 1}]}]\n", "the route attaches to no Service")]
    [InlineData("apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec:\n  parentRefs: [{group: \"\", kind: Service, name: nope}]\n  rules: [{backendRefs: [{name: a, port: 1}]}]\n", "its parent Service 'default/nope' does not exist")]
    [InlineData("apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r, namespace: shop}\nspec:\n  parentRefs: [{group: \"\", kind: Service, name: cart, port: 9}]\n  rules: [{backendRefs: [{name: cart, port: 80}]}]\n", "its parent Service 'shop/cart' has no port 9")]
    public void DoubtfulRoute_StaysInForce_AndIsTold(string yaml, string what)
    {
        var model = Manifests.Model(Manifests.Service("cart") + "\n---\n" + yaml);

        Assert.Contains(model.Problems, p => p.Where.StartsWith("in.yaml:", StringComparison.Ordinal) && p.What.Contains(what, StringComparison.Ordinal));
        Assert.Single(model.Routes);
        Assert.Single(model.Services);
    }

    [Fact]
    public void DeepNesting_IsRefused_WithoutACrash()
    {
        var model = Manifests.Model("a: " + new string('[', 100_000));

        Assert.Contains("nested deeper than 50 levels", Assert.Single(model.Problems).What, StringComparison.Ordinal);
    }

    [Fact]
    public void AliasToItself_DoesNotCrash()
    {
        var model = Manifests.Model("apiVersion: v1\nkind: List\nitems: &a\n- *a\n");

        Assert.NotEmpty(model.Problems);
        Assert.Empty(model.Services);
    }

    [Fact]
    public void OneBadDocument_LeavesTheOthersInForce()
    {
        var model = Manifests.Model(Manifests.Service("a") + "\n---\nkind: Nonsense\napiVersion: v1\n---\n" + Manifests.Service("b"));

        Assert.Equal(["a", "b"], model.Services.Keys.Select(k => k.Name).Order());
        Assert.Single(model.Problems);
    }

    [Fact]
    public void SameObjectTwice_FirstWins_SecondIsTold()
    {
        var model = Manifests.Model(Manifests.Service("a", 80) + "\n---\n" + Manifests.Service("a", 81));

        Assert.Equal(80, model.Services[new ServiceName("shop", "a")].Ports[0].Port);
        Assert.Equal("Service 'shop/a' stands already at in.yaml:1, which is used. Remove one of the two.", Assert.Single(model.Problems).What);
    }
}
