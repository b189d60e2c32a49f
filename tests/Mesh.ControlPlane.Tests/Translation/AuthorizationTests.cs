using Google.Protobuf;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;
using Mesh.ControlPlane.Sources.Manifests;
using Mesh.ControlPlane.Tests.Sources;
using Mesh.ControlPlane.Translation;
using Mesh.Xds.Decoding;
using Xunit;

namespace Mesh.ControlPlane.Tests.Translation;

/// <summary>What policies let in, judged by an engine that only reads the wire.</summary>
public sealed class AuthorizationTests
{
    private const string Front = "spiffe://cluster.local/ns/shop/sa/front";

    [Theory]
    [InlineData("paths: [/admin]", "GET", "/admin", true)]
    [InlineData("paths: [/admin]", "GET", "/Admin/", true)]
    [InlineData("paths: [/admin]", "GET", "/admins", false)]
    [InlineData("paths: [/admin/*]", "GET", "/ADMIN", true)]
    [InlineData("paths: [/admin/*]", "GET", "/admin/x/y", true)]
    [InlineData("paths: [/admin/*]", "GET", "/administration", false)]
    [InlineData("paths: [\"/u/*/cart\"]", "GET", "/u/1/Cart/", true)]
    [InlineData("paths: [\"/u/*/cart\"]", "GET", "/u/1/2/cart", false)]
    [InlineData("paths: [/a.b]", "GET", "/aXb", false)]
    [InlineData("paths: [\"/caf%C3%A9/*\"]", "GET", "/café/x", true)]
    [InlineData("methods: [DELETE]", "delete", "/", true)]
    [InlineData("methods: [DELETE]", "GET", "/", false)]
    [InlineData("grpc: [{service: shop.v1.Cart, method: Drop}]", "POST", "/shop.v1.cart/drop", true)]
    [InlineData("grpc: [{service: shop.v1.Cart}]", "POST", "/shopXv1.Cart/Get", false)]
    [InlineData("hosts: [cart.shop]", "GET", "/", true)]
    [InlineData("hosts: [cartxshop]", "GET", "/", false)]
    public void Deny_TakesEverySpellingThatTheAppMayTake(string to, string method, string path, bool denied)
    {
        var model = Cart(Policy("p", $"rules: [{{name: r, action: Deny, to: [{{{to}}}]}}]"));
        foreach (var host in (string[])["cart.shop", "CART.shop.", "cart.shop:80"])
        {
            Assert.Equal(!denied, Ask(model, new AskedRequest(Front, method, path) { Host = Mesh.Traffic.CanonicalHost.Of(host).Name }).Allowed);
        }
    }

    [Theory]
    [InlineData("paths: [/items]", "GET", "/items", true)]
    [InlineData("paths: [/items]", "GET", "/Items", false)]
    [InlineData("paths: [/items]", "GET", "/items/", false)]
    [InlineData("paths: [/items/*]", "GET", "/items/1", true)]
    [InlineData("paths: [/items/*]", "GET", "/items", false)]
    [InlineData("paths: [/items/*]", "GET", "/items/", false)]
    [InlineData("paths: [\"/u/*/cart/*\"]", "GET", "/u/1/cart/2", true)]
    [InlineData("paths: [\"/u/*/cart/*\"]", "GET", "/u/1/cart/", false)]
    [InlineData("methods: [GET]", "get", "/items", false)]
    [InlineData("hosts: [cart.shop]", "GET", "/", true)]
    [InlineData("ports: [8080]", "GET", "/", true)]
    [InlineData("ports: [8081]", "GET", "/", false)]
    public void Allow_TakesTheExactTextAlone(string to, string method, string path, bool allowed) =>
        Assert.Equal(allowed, Ask(Cart(Policy("p", $"rules: [{{name: r, action: Allow, to: [{{{to}}}]}}]")), new AskedRequest(Front, method, path)).Allowed);

    [Theory]
    [InlineData("identities: [\"spiffe://cluster.local/ns/*/sa/front\"]", Front, true)]
    [InlineData("identities: [\"spiffe://cluster.local/ns/*/sa/front\"]", "spiffe://cluster.local/ns/a/b/sa/front", false)]
    [InlineData("identities: [\"spiffe://cluster.local/ns/shop/**\"]", Front, true)]
    [InlineData("identities: [\"spiffe://cluster.local/ns/shop/**\"]", "spiffe://cluster.local/ns/shopping/sa/front", false)]
    [InlineData("identities: [\"spiffe://cluster.local/ns/*/sa/f.ont\"]", Front, false)]
    [InlineData("serviceAccounts: [front]", Front, true)]
    [InlineData("serviceAccounts: [f.ont]", Front, false)]
    [InlineData("serviceAccounts: [bank/front]", Front, false)]
    [InlineData("namespaces: [shop]", Front, true)]
    [InlineData("namespaces: [shop]", "spiffe://cluster.local/ns/shopping/sa/front", false)]
    [InlineData("trustDomains: [other.example]", "spiffe://other.example/x", true)]
    [InlineData("trustDomains: [other.example]", "spiffe://other.example.evil/x", false)]
    [InlineData("authenticated: true", "spiffe://other.example/x", false)]
    [InlineData("authenticated: true", "", false)]
    [InlineData("authenticated: false", "", true)]
    [InlineData("networks: [{cidr: 10.0.0.0/8, except: [10.0.0.0/24]}]", Front, false)]
    [InlineData("networks: [{cidr: 10.0.0.0/8, except: [10.0.1.0/24]}]", Front, true)]
    [InlineData("claims: [{name: sub, values: [\"*\"]}]", Front, false)]
    public void From_NamesWholeSegments(string from, string caller, bool allowed) =>
        Assert.Equal(allowed, Ask(Cart(Policy("p", $"rules: [{{name: r, action: Allow, from: [{{{from}}}]}}]")), new AskedRequest(caller, "GET", "/")).Allowed);

    [Theory]
    [InlineData("x-role", "admin", true)]
    [InlineData("x-role", "user,admin", true)]
    [InlineData("x-role", "user, admin ,x", true)]
    [InlineData("x-role", "administrator", false)]
    public void Deny_FindsAHeadersValueAmongSeveral(string name, string value, bool denied)
    {
        var model = Cart(Policy("p", "rules: [{name: r, action: Deny, to: [{headers: [{name: X-Role, value: admin}]}]}]"));
        Assert.Equal(!denied, Ask(model, new AskedRequest(Front, "GET", "/") { Headers = { [name] = value } }).Allowed);
    }

    [Theory]
    [InlineData("front", "GET", "/admin", false)]
    [InlineData("admin", "GET", "/admin", true)]
    [InlineData("front", "GET", "/Admin", false)]
    [InlineData("front", "GET", "/admin/", false)]
    [InlineData("admin", "GET", "/ADMIN/", true)]
    [InlineData("front", "GET", "/admin/health", true)]
    [InlineData("front", "post", "/api/x", false)]
    [InlineData("front", "GET", "/api/x", true)]
    [InlineData("front", "PATCH", "/anything", false)]
    [InlineData("front", "patch", "/anything", false)]
    [InlineData("front", "GET", "/anything", true)]
    public void RouteRules_HoldInEverySpelling(string account, string method, string path, bool allowed)
    {
        var model = Cart(Route, RoutePolicy("admin", "rules: [{action: Allow, from: [{serviceAccounts: [admin]}]}]"), RoutePolicy("write", "rules: [{action: Deny, from: [{serviceAccounts: [front]}]}]"),
            RoutePolicy("patch", "rules: [{action: Deny}]"));
        Assert.Equal(allowed, Ask(model, new AskedRequest($"spiffe://cluster.local/ns/shop/sa/{account}", method, path)).Allowed);
    }

    [Theory]
    [InlineData("/public", true)]
    [InlineData("/Public", false)]
    [InlineData("/public/", false)]
    [InlineData("/other", false)]
    public void RouteAllow_OpensTheExactPathAlone(string path, bool allowed)
    {
        var route = Route.Replace("/admin}", "/public}", StringComparison.Ordinal);
        var model = Cart(route, RoutePolicy("admin", "rules: [{action: Allow}]"), Policy("all", "rules: [{action: Allow, from: [{serviceAccounts: [boss]}]}]"));
        Assert.Equal(allowed, Ask(model, new AskedRequest(Front, "GET", path)).Allowed);
        var closed = Cart(route, RoutePolicy("admin", "rules: [{action: Allow}]"), Server("deny", "access: deny"));
        Assert.Equal(allowed, Ask(closed, new AskedRequest(Front, "GET", path)).Allowed);
    }

    [Theory]
    [InlineData("GET", "/healthz", true)]
    [InlineData("POST", "/healthz", false)]
    [InlineData("GET", "/healthz/x", false)]
    public void Probes_GetInWhateverPoliciesSay(string method, string path, bool allowed)
    {
        const string Pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: cart-1, namespace: shop}\nspec: {containers: [{name: a, livenessProbe: {httpGet: {port: 8080, path: /healthz}}}]}\nstatus: {podIP: 10.0.0.1}";
        var model = Manifests.Model(string.Join("\n---\n", Manifests.Service("cart"), Manifests.Slice("cart", "10.0.0.1"), Pod, Server("s", "access: deny"), Policy("p", "rules: [{action: Deny}]"), Policy("q", "rules: [{action: Alow}]")));
        Assert.Equal(allowed, Ask(model, new AskedRequest(string.Empty, method, path)).Allowed);
    }

    [Fact]
    public void Audit_ChangesNoVerdict()
    {
        var model = Cart(Policy("p", "mode: Audit\nrules: [{name: a, action: Allow, from: [{serviceAccounts: [x]}]}, {name: d, action: Deny}]"), Policy("q", "rules: [{name: w, action: Audit}]"));
        Assert.Equal((true, "allowed"), Ask(model, new AskedRequest(string.Empty, "GET", "/")));
    }

    [Fact]
    public void GrpcServer_OfOthers_ClaimsLetNobodyIn_AndAreNotAskedByDeny()
    {
        var model = Cart(Policy("p", "rules: [{name: a, action: Allow, from: [{claims: [{name: sub, values: [x]}]}]}, {name: b, action: Allow, from: [{serviceAccounts: [front]}]}, {name: d, action: Deny, from: [{serviceAccounts: [bad], claims: [{name: sub, values: [x]}]}]}]"));
        Assert.Equal((true, "shop/p/b"), Ask(model, new AskedRequest(Front, "POST", "/s/m"), forMesh: false));
        Assert.Equal((false, "unmatched"), Ask(model, new AskedRequest("spiffe://cluster.local/ns/shop/sa/other", "POST", "/s/m"), forMesh: false));
        Assert.Equal((false, "shop/p/d"), Ask(model, new AskedRequest("spiffe://cluster.local/ns/shop/sa/bad", "POST", "/s/m"), forMesh: false));
    }

    private const string Routed = """
        apiVersion: gateway.networking.k8s.io/v1
        kind: GRPCRoute
        metadata: {name: r, namespace: shop}
        spec:
          parentRefs: [{group: "", kind: Service, name: cart}]
          rules:
          - {name: put, matches: [{method: {service: s, method: Put}}], backendRefs: [{name: cart, port: 80}]}
          - {name: any, matches: [{method: {service: s}}], backendRefs: [{name: cart, port: 80}]}
        """;

    /// <summary>grpc-js takes overrides of routes and never applies them: what holds along a route stands in the filters there, and the verdict is that of ours.</summary>
    [Theory]
    [InlineData("/s/Put", "front", true)]
    [InlineData("/s/Put", "other", false)]
    [InlineData("/s/Get", "front", false)]
    [InlineData("/s/Get", "reader", true)]
    [InlineData("/s/Putt", "front", false)]
    [InlineData("/t/Get", "other", true)]
    [InlineData("/s/Get", "bad", false)]
    [InlineData("/s/Put", "bad", true)]
    public void GrpcServer_OfOthers_HasTheRulesOfRoutesInItsFilters(string path, string caller, bool allowed)
    {
        var model = Cart(
            Routed,
            Policy("put", "rules: [{name: a, action: Allow, from: [{serviceAccounts: [front, bad]}]}]").Replace("{group: \"\", kind: Service, name: cart}", "{group: gateway.networking.k8s.io, kind: GRPCRoute, name: r, sectionName: put}", StringComparison.Ordinal),
            Policy("any", "rules: [{name: a, action: Allow, from: [{serviceAccounts: [reader, bad]}]}, {name: d, action: Deny, from: [{serviceAccounts: [bad]}]}]").Replace("{group: \"\", kind: Service, name: cart}", "{group: gateway.networking.k8s.io, kind: GRPCRoute, name: r, sectionName: any}", StringComparison.Ordinal));
        Assert.Empty(model.Problems);
        var request = new AskedRequest($"spiffe://cluster.local/ns/shop/sa/{caller}", "POST", path);

        Assert.Equal(allowed, Ask(model, request, forMesh: false).Allowed);
        Assert.Equal(allowed, Ask(model, request).Allowed);
    }

    [Theory]
    [InlineData("gRPC Node Pure JS", false)]
    [InlineData("gRPC C-core linux Python", true)]
    [InlineData("grpc-go", false)]
    public void GrpcServer_OfOthers_IsAskedAboutNetworksOnlyIfItKnowsThem(string agent, bool knows) =>
        Assert.Equal(knows, RuleAudience.Of(new NodeContext("n", "shop", null) { UserAgent = agent }).KnowsNetworks);

    /// <summary>Checklist B 22: neither the order of files, of objects nor of rules changes a byte or a verdict.</summary>
    [Fact]
    public void Order_ChangesNothing()
    {
        for (var seed = 0; seed < 60; seed++)
        {
            var random = new Random(seed);
            var policies = Enumerable.Range(0, 1 + random.Next(4)).Select(i => RandomPolicy($"p{i}", random)).ToArray();
            var (first, second) = (Write(policies, new Random(seed)), Write(policies, new Random(~seed)));
            Assert.Equal(Listener(first), Listener(second));
            for (var i = 0; i < 40; i++)
            {
                var request = new AskedRequest(Pick(random, ["", Front, "spiffe://cluster.local/ns/bank/sa/front", "spiffe://cluster.local/ns/shop/sa/back"]), Pick(random, ["GET", "POST"]), Pick(random, ["/a", "/a/b", "/b", "/A"]));
                var verdict = Ask(first, request);
                Assert.Equal(verdict, Ask(second, request));
                Assert.True(Naive(policies, request) == verdict.Allowed, $"seed {seed}: {request} was {verdict} of {string.Join("; ", policies.SelectMany(p => p.Rules))}");
            }
        }
    }

    /// <summary>Deny beats Allow; with an Allow what matches none is refused.</summary>
    private static bool Naive((string Name, RandomRule[] Rules)[] policies, AskedRequest request)
    {
        var rules = policies.SelectMany(p => p.Rules).ToArray();
        return !rules.Any(r => !r.Allow && r.Matches(request)) && (!rules.Any(r => r.Allow) || rules.Any(r => r.Allow && r.Matches(request)));
    }

    private static (string Name, RandomRule[] Rules) RandomPolicy(string name, Random random) => (name, [.. Enumerable.Range(0, 1 + random.Next(4)).Select(i => new RandomRule(
        $"r{i}", random.Next(2) == 0, Pick(random, [null, "shop", "bank"]), Pick(random, [null, "front", "back"]), Pick(random, [null, "GET", "POST"]), Pick(random, [null, "/a", "/a/*", "/b"])))]);

    private static MeshModel Write((string Name, RandomRule[] Rules)[] policies, Random random)
    {
        string[] objects = [Manifests.Service("cart"), Manifests.Slice("cart", "127.0.0.1"), .. policies.Select(p => Policy(p.Name, $"rules: [{string.Join(", ", Shuffled(p.Rules, random).Select(r => r.Yaml))}]"))];
        var files = Shuffled(objects, random).Select((o, i) => ManifestFile.Read($"{i}.yaml", o, null));
        return Manifests.Assemble(files);
    }

    private static T[] Shuffled<T>(T[] items, Random random)
    {
        T[] shuffled = [.. items];
        random.Shuffle(shuffled);
        return shuffled;
    }

    private static T Pick<T>(Random random, T[] items) => items[random.Next(items.Length)];

    private static ByteString Listener(MeshModel model) => new ResourceTranslator(new TranslationOptions(Manifests.TrustDomain, "cluster.local"))
        .Translate(model, new NodeContext("n", "shop", null) { IsMesh = true }, XdsTypes.Listener, $"{XdsTypes.InboundPrefix}127.0.0.1:8080").Message!.ToByteString();

    private static (bool Allowed, string By) Ask(MeshModel model, AskedRequest request, bool forMesh = true)
    {
        var address = model.Workloads.First().Address;
        return RbacOracle.Ask(model, ServerDefaults.Default, "shop", address, 8080, request, forMesh);
    }

    private static MeshModel Cart(params string[] objects)
    {
        var model = Manifests.Model(string.Join("\n---\n", [Manifests.Service("cart"), Manifests.Slice("cart", "127.0.0.1"), .. objects]));
        Assert.Empty(model.Problems);
        return model;
    }

    private const string Route = """
        apiVersion: gateway.networking.k8s.io/v1
        kind: HTTPRoute
        metadata: {name: cart, namespace: shop}
        spec:
          parentRefs: [{group: "", kind: Service, name: cart}]
          rules:
          - {name: admin, matches: [{path: {type: Exact, value: /admin}}], backendRefs: [{name: cart, port: 80}]}
          - {name: health, matches: [{path: {type: Exact, value: /admin/health}}], backendRefs: [{name: cart, port: 80}]}
          - {name: write, matches: [{path: {value: /api}, method: POST}], backendRefs: [{name: cart, port: 80}]}
          - {name: read, matches: [{path: {value: /api}}], backendRefs: [{name: cart, port: 80}]}
          - {name: patch, matches: [{method: PATCH}], backendRefs: [{name: cart, port: 80}]}
          - {name: rest, backendRefs: [{name: cart, port: 80}]}
        """;

    private static string RoutePolicy(string rule, string spec) =>
        $"apiVersion: policy.meshlib.io/v1alpha1\nkind: AuthorizationPolicy\nmetadata: {{name: at-{rule}, namespace: shop}}\nspec:\n  targetRefs: [{{group: gateway.networking.k8s.io, kind: HTTPRoute, name: cart, sectionName: {rule}}}]\n  {spec}";

    private static string Policy(string name, string spec) =>
        $"apiVersion: policy.meshlib.io/v1alpha1\nkind: AuthorizationPolicy\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  targetRefs: [{{group: \"\", kind: Service, name: cart}}]\n  {spec.Replace("\n", "\n  ", StringComparison.Ordinal)}";

    private static string Server(string name, string spec) =>
        $"apiVersion: policy.meshlib.io/v1alpha1\nkind: ServerPolicy\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  targetRefs: [{{group: \"\", kind: Service, name: cart}}]\n  {spec}";

    private sealed record RandomRule(string Name, bool Allow, string? Namespace, string? Account, string? Method, string? Path)
    {
        public string Yaml
        {
            get
            {
                string?[] from = [Namespace is null ? null : $"namespaces: [{Namespace}]", Account is null ? null : $"serviceAccounts: [shop/{Account}]"];
                string?[] to = [Method is null ? null : $"methods: [{Method}]", Path is null ? null : $"paths: [{Path}]"];
                return $"{{name: {Name}, action: {(Allow ? "Allow" : "Deny")}{Entry("from", from)}{Entry("to", to)}}}";
            }
        }

        public bool Matches(AskedRequest request) =>
            (Namespace is null || request.Caller.Contains($"/ns/{Namespace}/", StringComparison.Ordinal))
            && (Account is null || request.Caller == $"spiffe://cluster.local/ns/shop/sa/{Account}")
            && (Method is null || request.Method == Method)
            && (Path is null || (Allow ? OfAllow(request.Path) : OfDeny(request.Path.ToLowerInvariant())));

        private bool OfAllow(string path) => Path == "/a/*" ? path.StartsWith("/a/", StringComparison.Ordinal) : path == Path;

        private bool OfDeny(string path) => Path == "/a/*" ? path == "/a" || path.StartsWith("/a/", StringComparison.Ordinal) : path == Path;

        private static string Entry(string field, string?[] parts) => parts.All(p => p is null) ? string.Empty : $", {field}: [{{{string.Join(", ", parts.OfType<string>())}}}]";
    }
}
