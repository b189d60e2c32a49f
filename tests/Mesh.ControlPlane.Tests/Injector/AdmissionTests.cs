using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Mesh.ControlPlane.Injector;
using Mesh.ControlPlane.Sources;
using Mesh.ControlPlane.Sources.Kubernetes;
using Mesh.ControlPlane.Tests.Hosting;
using Xunit;

namespace Mesh.ControlPlane.Tests.Injector;

/// <summary>AdmissionReviews over real HTTPS, as the API server sends them.</summary>
public sealed class AdmissionTests : IAsyncLifetime
{
    private const string Host = "mesh-control-plane.mesh-system.svc";
    private readonly KnownNamespaces _namespaces = new();
    private readonly RecordedEvents _events = new();
    private readonly OneCertificate _certificate = new();
    private TestControlPlane _controlPlane = null!;
    private HttpClient _http = null!;

    public async ValueTask InitializeAsync()
    {
        _controlPlane = await TestControlPlane.StartAsync(injector: new InjectorParts(_namespaces, () => new InjectionValues { Version = "1.2.3" }, _events, _certificate));
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.Add(_certificate.Certificate);
        var address = IPEndPoint.Parse(_controlPlane.Webhooks);
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = policy },
            ConnectCallback = async (_, cancel) =>
            {
                var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
                await socket.ConnectAsync(address, cancel);
                return new NetworkStream(socket, ownsSocket: true);
            },
        };
        _http = new HttpClient(handler)
        {
            BaseAddress = new Uri($"https://{Host}"),
            DefaultRequestVersion = HttpVersion.Version20,
            Timeout = TimeSpan.FromSeconds(30),
        };
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await _controlPlane.DisposeAsync();
        _certificate.Dispose();
    }

    [Fact]
    public async Task Inject_PodOfAnEnabledNamespace_IsPatched()
    {
        _namespaces.Set("shop", Annotations.Inject, "enabled");

        var response = await AskAsync("/inject", Review("Pod", Pod("web-1")));

        Assert.Equal("u-1", response.Text("uid"));
        Assert.True(response.Flag("allowed"));
        Assert.Equal("JSONPatch", response.Text("patchType"));
        var patch = (JsonArray)JsonNode.Parse(Convert.FromBase64String(response.Text("patch")!))!;
        var patched = Rfc6902.Apply(Pod("web-1"), patch);
        Assert.Equal([InjectedNames.Init, InjectedNames.Proxy], patched.Object("spec").Objects("initContainers").Select(c => c.Text("name")));
        Assert.Equal("1.2.3", patched.Object("metadata").Texts("annotations")[Annotations.Injected]);
        Assert.Empty(_events.All);
    }

    [Fact]
    public async Task Inject_PodThatCantBe_RunsWithoutAndItsOwnerIsTold()
    {
        _namespaces.Set("shop", Annotations.Inject, "enabled");
        var pod = Pod("web-1");
        pod.Object("spec")!["hostNetwork"] = true;
        pod.Object("metadata")!["ownerReferences"] = new JsonArray(new JsonObject { ["apiVersion"] = "apps/v1", ["kind"] = "ReplicaSet", ["name"] = "web-5d4", ["uid"] = "o-1", ["controller"] = true });

        var response = await AskAsync("/inject", Review("Pod", pod));

        Assert.True(response.Flag("allowed"));
        Assert.Null(response.Text("patch"));
        Assert.StartsWith("Not in the mesh: The pod has hostNetwork", Assert.Single(response.Array("warnings")!).AsText(), StringComparison.Ordinal);
        Assert.Equal(SkipReasons.HostNetwork, response.Object("auditAnnotations").Text("skip-reason"));
        var (about, reason, message) = Assert.Single(_events.All);
        Assert.Equal(new EventSubject("apps/v1", "ReplicaSet", "shop", "web-5d4", "o-1"), about);
        Assert.Equal(EventReasons.NotInjected, reason);
        Assert.StartsWith("host_network_enabled: ", message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Inject_DryRun_TellsNobody()
    {
        _namespaces.Set("shop", Annotations.Inject, "enabeld");

        var response = await AskAsync("/inject", Review("Pod", Pod("web-1"), dryRun: true));

        Assert.True(response.Flag("allowed"));
        Assert.NotEmpty(response.Array("warnings")!);
        Assert.Empty(_events.All);
    }

    [Fact]
    public async Task Inject_PodThatWantsNothing_IsLeftInSilence()
    {
        var response = await AskAsync("/inject", Review("Pod", Pod("web-1")));

        Assert.True(response.Flag("allowed"));
        Assert.Null(response.Text("patch"));
        Assert.Null(response.Array("warnings"));
        Assert.Empty(_events.All);
    }

    [Fact]
    public async Task Inject_WhatIsNoNewPod_IsLet()
    {
        _namespaces.Set("shop", Annotations.Inject, "enabled");
        Assert.Null((await AskAsync("/inject", Review("Pod", Pod("web-1"), operation: "UPDATE"))).Text("patch"));
        Assert.Null((await AskAsync("/inject", Review("Pod", null, operation: "DELETE"))).Text("patch"));
        Assert.Null((await AskAsync("/inject", Review("Deployment", Pod("web-1"), group: "apps"))).Text("patch"));
    }

    [Fact]
    public async Task Inject_NamespaceCantBeLookedUp_LeavesItToTheFailurePolicy()
    {
        _namespaces.Problem = KubeApiException.Of(HttpStatusCode.ServiceUnavailable, "etcd is away", null);

        using var answer = await SendAsync("/inject", Review("Pod", Pod("web-1")).ToJsonString());

        Assert.Equal(HttpStatusCode.InternalServerError, answer.StatusCode);
    }

    [Fact]
    public async Task Inject_LookUpThatHangs_IsGivenUpBeforeTheApiServerDoes()
    {
        _namespaces.Hangs = true;

        using var answer = await SendAsync("/inject?timeout=1s", Review("Pod", Pod("web-1")).ToJsonString());

        Assert.Equal(HttpStatusCode.GatewayTimeout, answer.StatusCode);
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{")]
    [InlineData("\u00ff\u00fe")]
    [InlineData("""{"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview", "request": {"uid": "1"}}""")]
    [InlineData("""{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}""")]
    [InlineData("""{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": 1, "kind": {"kind": "Pod"}, "operation": "CREATE"}}""")]
    [InlineData("""{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "1", "kind": "Pod", "operation": "CREATE"}}""")]
    [InlineData("""{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "1", "uid": "2", "kind": {"kind": "Pod"}, "operation": "CREATE"}}""")]
    public async Task Bodies_ThatAreNoReview_AreRefused(string body)
    {
        foreach (var path in new[] { "/inject", "/validate" })
        {
            using var answer = await SendAsync(path, body);
            Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
            Assert.NotEmpty(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        }
    }

    [Fact]
    public async Task Bodies_TooDeep_AreRefused()
    {
        using var answer = await SendAsync("/inject", string.Concat(Enumerable.Repeat("{\"a\":", 2000)) + "1" + new string('}', 2000));
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
    }

    [Fact]
    public async Task Bodies_TooLarge_AreRefused()
    {
        using var answer = await SendAsync("/inject", new string(' ', 9 << 20));
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, answer.StatusCode);
    }

    [Fact]
    public async Task Bodies_OfAnotherType_AreRefused()
    {
        using var answer = await _http.PostAsync("/inject", new StringContent("{}", Encoding.UTF8, "text/plain"), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, answer.StatusCode);
    }

    [Fact]
    public async Task Reviews_BrokenAnywhere_AreAnswered()
    {
        _namespaces.Set("shop", Annotations.Inject, "enabled");
        var text = Review("Pod", Pod("web-1")).ToJsonString();
        var random = new Random(4711);
        for (var i = 0; i < 150; i++)
        {
            var broken = text.ToCharArray();
            for (var n = random.Next(1, 5); n > 0; n--)
            {
                broken[random.Next(broken.Length)] = "{}[]\",:0x\\"[random.Next(10)];
            }

            using var answer = await SendAsync(i % 2 == 0 ? "/inject" : "/validate", new string(broken));
            Assert.True(answer.StatusCode is HttpStatusCode.OK or HttpStatusCode.BadRequest, $"{(int)answer.StatusCode} for {new string(broken)}");
        }
    }

    [Fact]
    public async Task Webhooks_AnswerOnTheirPortAlone()
    {
        using var api = _controlPlane.Api();
        using var elsewhere = await api.PostAsync("inject", new StringContent("{}", Encoding.UTF8, "application/json"), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.NotFound, elsewhere.StatusCode);
        using var here = await _http.GetAsync("/metrics", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.NotFound, here.StatusCode);
        using var get = await _http.GetAsync("/inject", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, get.StatusCode);
    }

    [Fact]
    public async Task Validate_PolicyThatCantBeRead_IsRefusedWithAllThatIsWrong()
    {
        var policy = (JsonObject)JsonNode.Parse("""
            {"apiVersion": "policy.meshlib.io/v1alpha1", "kind": "TimeoutPolicy", "metadata": {"name": "slow", "namespace": "shop", "managedFields": [], "uid": "1", "generation": 1},
             "spec": {"targetRefs": [{"group": "", "kind": "Servise", "name": "cart"}], "request": "5", "conect": "1s"}}
            """)!;

        var response = await AskAsync("/validate", Review("TimeoutPolicy", policy, group: "policy.meshlib.io", name: "slow"));

        Assert.False(response.Flag("allowed"));
        var message = response.Object("status").Text("message")!;
        Assert.Equal(422, response.Object("status").Integer("code"));
        Assert.StartsWith("TimeoutPolicy 'shop/slow' has 3 problems:\n- ", message, StringComparison.Ordinal);
        Assert.Contains("Did you mean 'Service'?", message, StringComparison.Ordinal);
        Assert.Contains("spec.request is '5'", message, StringComparison.Ordinal);
        Assert.Contains("Did you mean 'connect'?", message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Validate_GoodPolicy_IsLet()
    {
        var policy = Policy("""{"targetRefs": [{"group": "", "kind": "Service", "name": "cart"}], "request": "5s"}""");
        policy.Object("metadata")!.Remove("name");
        policy.Object("metadata")!["generateName"] = "slow-";

        var response = await AskAsync("/validate", Review("TimeoutPolicy", policy, group: "policy.meshlib.io", name: ""));

        Assert.True(response.Flag("allowed"), response.ToJsonString());
        Assert.Null(response.Array("warnings"));
    }

    [Fact]
    public async Task Validate_WhatStandsAlready_MayBeDeletedAndTouched()
    {
        var bad = Policy("""{"targetRefs": [], "request": "x"}""");
        Assert.False((await AskAsync("/validate", Review("TimeoutPolicy", bad, group: "policy.meshlib.io"))).Flag("allowed"));
        Assert.True((await AskAsync("/validate", Review("TimeoutPolicy", null, operation: "DELETE", group: "policy.meshlib.io"))).Flag("allowed"));

        var labelled = (JsonObject)bad.DeepClone();
        labelled.Object("metadata")!["labels"] = new JsonObject { ["a"] = "b" };
        var touched = await AskAsync("/validate", Review("TimeoutPolicy", labelled, operation: "UPDATE", group: "policy.meshlib.io", old: bad));
        Assert.True(touched.Flag("allowed"));
        Assert.NotEmpty(touched.Array("warnings")!);

        var going = (JsonObject)bad.DeepClone();
        going.Object("metadata")!["deletionTimestamp"] = "2026-01-31T12:00:00Z";
        Assert.True((await AskAsync("/validate", Review("TimeoutPolicy", going, operation: "UPDATE", group: "policy.meshlib.io", old: Policy("{}")))).Flag("allowed"));
    }

    [Fact]
    public async Task Validate_Route_IsNeverRefused()
    {
        var route = (JsonObject)JsonNode.Parse("""
            {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "cart", "namespace": "shop"},
             "spec": {"parentRefs": [{"group": "", "kind": "Service", "name": "cart"}], "hostnames": ["cart.example"],
                      "rules": [{"filters": [{"type": "CORS", "cors": {}}], "backendRefs": [{"name": "cart", "port": 80}]}]}}
            """)!;

        var response = await AskAsync("/validate", Review("HTTPRoute", route, group: "gateway.networking.k8s.io", name: "cart"));

        Assert.True(response.Flag("allowed"));
        Assert.Contains(response.Array("warnings")!, w => w.AsText()!.Contains("hostnames", StringComparison.Ordinal));
        Assert.All(response.Array("warnings")!, w => Assert.True(w.AsText()!.Length <= 250));

        // A Gateway's routes are others'.
        route.Object("spec").Objects("parentRefs").Single()["kind"] = "Gateway";
        Assert.Null((await AskAsync("/validate", Review("HTTPRoute", route, group: "gateway.networking.k8s.io", name: "cart"))).Array("warnings"));
    }

    private static JsonObject Policy(string spec) => new()
    {
        ["apiVersion"] = "policy.meshlib.io/v1alpha1", ["kind"] = "TimeoutPolicy", ["metadata"] = new JsonObject { ["name"] = "slow", ["namespace"] = "shop" }, ["spec"] = JsonNode.Parse(spec),
    };

    private static JsonObject Pod(string name) => new()
    {
        ["apiVersion"] = "v1",
        ["kind"] = "Pod",
        ["metadata"] = new JsonObject { ["name"] = name },
        ["spec"] = new JsonObject { ["containers"] = new JsonArray(new JsonObject { ["name"] = "web", ["image"] = "web" }) },
    };

    private static JsonObject Review(string kind, JsonObject? about, string operation = "CREATE", string group = "", bool dryRun = false, string name = "slow", JsonObject? old = null) => new()
    {
        ["apiVersion"] = "admission.k8s.io/v1",
        ["kind"] = "AdmissionReview",
        ["request"] = new JsonObject
        {
            ["uid"] = "u-1", ["kind"] = new JsonObject { ["group"] = group, ["version"] = "v1", ["kind"] = kind }, ["resource"] = new JsonObject { ["group"] = group, ["version"] = "v1", ["resource"] = "x" },
            ["namespace"] = "shop", ["name"] = name, ["operation"] = operation, ["dryRun"] = dryRun, ["object"] = about?.DeepClone(), ["oldObject"] = old?.DeepClone(),
            ["userInfo"] = new JsonObject { ["username"] = "admin" }, ["options"] = new JsonObject(),
        },
    };

    private async Task<JsonObject> AskAsync(string path, JsonObject review)
    {
        using var answer = await SendAsync(path, review.ToJsonString());
        var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(answer.StatusCode == HttpStatusCode.OK, text);
        var read = (JsonObject)JsonNode.Parse(text)!;
        Assert.Equal("admission.k8s.io/v1", read.Text("apiVersion"));
        Assert.Equal("AdmissionReview", read.Text("kind"));
        return read.Object("response")!;
    }

    private Task<HttpResponseMessage> SendAsync(string path, string body) =>
        _http.PostAsync(path, new StringContent(body, Encoding.UTF8, "application/json"), TestContext.Current.CancellationToken);

    private sealed class KnownNamespaces : INamespaces
    {
        private readonly ConcurrentDictionary<string, NamespaceMeta> _known = new();

        public Exception? Problem { get; set; }

        public bool Hangs { get; set; }

        public void Set(string name, string annotation, string value) => _known[name] = NamespaceMeta.Bare(name) with { Annotations = new Dictionary<string, string> { [annotation] = value } };

        public async Task<NamespaceMeta?> FindAsync(string name, CancellationToken cancellationToken)
        {
            if (Hangs)
            {
                await new TaskCompletionSource().Task.WaitAsync(cancellationToken);
            }

            return Problem is null ? _known.GetValueOrDefault(name) : throw Problem;
        }
    }

    private sealed class RecordedEvents : IEventSink
    {
        private readonly ConcurrentQueue<(EventSubject, string, string)> _all = new();

        public IReadOnlyCollection<(EventSubject About, string Reason, string Message)> All => _all;

        public void Report(EventSubject about, string reason, string message) => _all.Enqueue((about, reason, message));
    }

    /// <summary>Signed by itself.</summary>
    private sealed class OneCertificate : IWebhookCertificate, IDisposable
    {
        public OneCertificate()
        {
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var request = new CertificateRequest($"CN={Host}", key, HashAlgorithmName.SHA256);
            var names = new SubjectAlternativeNameBuilder();
            names.AddDnsName(Host);
            request.CertificateExtensions.Add(names.Build());
            Certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddHours(1));
            Current = SslStreamCertificateContext.Create(Certificate, [], offline: true);
        }

        public X509Certificate2 Certificate { get; }

        public SslStreamCertificateContext Current { get; }

        public void Dispose() => Certificate.Dispose();
    }
}
