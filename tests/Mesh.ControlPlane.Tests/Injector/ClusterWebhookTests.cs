using System.Text.Json.Nodes;
using Mesh.ControlPlane.Hosting;
using Mesh.ControlPlane.Injector;
using Mesh.ControlPlane.Install;
using Mesh.ControlPlane.Sources;
using Mesh.ControlPlane.Sources.Kubernetes;
using Mesh.Testing;
using Mesh.Testing.Kubernetes;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Mesh.ControlPlane.Tests.Injector;

/// <summary>A control plane in a cluster: the API server finds its webhooks as they are installed, knows them by the roots that the leader wrote, and pods are what they say.</summary>
public sealed class ClusterWebhookTests : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("mesh-webhooks-").FullName;
    private FakeKubeApi _api = null!;
    private KubeApi _user = null!;
    private MeshControlPlaneHost _host = null!;

    public async ValueTask InitializeAsync()
    {
        _api = await FakeKubeApi.StartAsync();
        _user = KubeApi.At(_api.Address, _api.Token, null, TimeProvider.System);
        foreach (var name in new[] { "mesh-system", "shop" })
        {
            _api.Apply($"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{kubernetes.io/metadata.name: {name}}}}}\n");
        }

        foreach (var document in DeployFiles.Read("webhooks.yaml"))
        {
            _api.Apply(document);
        }

        Config("version: 9.9.9\nregistry: registry.example\n");
        var token = Path.Combine(_folder, "token");
        await File.WriteAllTextAsync(token, _api.Token);
        var options = new MeshControlPlaneOptions
        {
            Kubernetes = true, ApiServer = _api.Address.ToString(), ApiTokenFile = token, DataFolder = Path.Combine(_folder, "data"), ReplicaName = "replica-1",
            SystemNamespace = "mesh-system", GrpcPort = 0, HttpPort = 0, WebhookPort = 0,
        };
        _host = new MeshControlPlaneHost(options, ControlPlaneParts.Default, TimeProvider.System, NullLoggerFactory.Instance);
        await _host.StartAsync(TestContext.Current.CancellationToken);
        _api.Services.Map("mesh-system", "mesh-control-plane", 443, "127.0.0.1", int.Parse(_host.Webhooks!.Split(':')[^1]));
        await Eventually.Async(
            () => _api.List("mutatingwebhookconfigurations.admissionregistration.k8s.io").Concat(_api.List("validatingwebhookconfigurations.admissionregistration.k8s.io")).All(c => c.Objects("webhooks").All(w => w.Object("clientConfig").Text("caBundle") is { Length: > 0 })),
            "the leader has written caBundle", TimeSpan.FromSeconds(60));
    }

    public async ValueTask DisposeAsync()
    {
        if (_host is not null)
        {
            await _host.StopAsync();
            await _host.DisposeAsync();
        }

        _user?.Dispose();
        await _api.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Pod_OfAnEnabledNamespace_IsCreatedWithTheSidecarThatIsInstalled()
    {
        Enable();

        var pod = await CreateAsync(Pod("web-1"));

        Assert.Equal([InjectedNames.Init, InjectedNames.Proxy], pod.Object("spec").Objects("initContainers").Select(c => c.Text("name")));
        Assert.Equal("registry.example/mesh-proxy:9.9.9", pod.Object("spec").Objects("initContainers").First().Text("image"));
        Assert.Equal("9.9.9", pod.Object("metadata").Texts("annotations")[Annotations.Injected]);

        // An upgrade counts from the next pod.
        Config("version: 9.9.10\nproxy:\n  egress: deny\n");
        var at = 1;
        await Eventually.Async(
            async () => (await CreateAsync(Pod($"web-{++at}"))).Object("metadata").Texts("annotations")[Annotations.Injected] == "9.9.10", "the new values are in force");
    }

    [Fact]
    public async Task Pod_ThatCantBe_IsCreatedAndHasAnEvent()
    {
        Enable();
        var given = Pod("agent");
        given.Object("spec")!["hostNetwork"] = true;

        for (var i = 0; i < 3; i++)
        {
            given.Object("metadata")!["name"] = $"agent-{i}";
            Assert.Null((await CreateAsync(given)).Object("spec").Array("initContainers"));
        }

        await Eventually.Async(() => _api.List("events", "shop").Count == 3, "each pod has its event");
        var told = _api.List("events", "shop").Single(e => e.Object("involvedObject").Text("name") == "agent-0");
        Assert.Equal(EventReasons.NotInjected, told.Text("reason"));
        Assert.Equal("Warning", told.Text("type"));
        Assert.StartsWith("host_network_enabled: ", told.Text("message"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pod_OfTheControlPlanesNamespace_IsLeft()
    {
        Enable("mesh-system");
        Assert.Null((await CreateAsync(Pod("other"), "mesh-system")).Object("spec").Array("initContainers"));
    }

    [Fact]
    public async Task Policy_ThatCantBeRead_IsRefusedByTheApiServer()
    {
        foreach (var crd in DeployFiles.Crds)
        {
            // As it would be under a schema that lets it pass.
            foreach (var version in crd.Object("spec").Objects("versions"))
            {
                version["schema"] = JsonNode.Parse("""{"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}""");
            }

            _api.Apply(crd);
        }

        var bad = (JsonObject)JsonNode.Parse("""
            {"apiVersion": "policy.meshlib.io/v1alpha1", "kind": "TimeoutPolicy", "metadata": {"name": "slow", "namespace": "shop"},
             "spec": {"targetRefs": [{"group": "", "kind": "Service", "name": "cart"}], "request": "1s", "attempt": "2s"}}
            """)!;
        const string Path = "/apis/policy.meshlib.io/v1alpha1/namespaces/shop/timeoutpolicies";

        var refused = await Assert.ThrowsAsync<KubeApiException>(() => _user.CreateAsync(Path, bad, TestContext.Current.CancellationToken));
        Assert.Contains("It cannot be longer than request (1s).", refused.Message, StringComparison.Ordinal);

        bad.Object("spec")!["attempt"] = "500ms";
        await _user.CreateAsync(Path, bad, TestContext.Current.CancellationToken);
    }

    private void Config(string values) => _api.Apply(new JsonObject
    {
        ["apiVersion"] = "v1", ["kind"] = "ConfigMap", ["metadata"] = new JsonObject { ["name"] = "mesh-config", ["namespace"] = "mesh-system" }, ["data"] = new JsonObject { ["values.yaml"] = values },
    });

    private void Enable(string ns = "shop") => _api.Change("namespaces", string.Empty, ns, n => n.Object("metadata")!["annotations"] = new JsonObject { [Annotations.Inject] = "enabled" });

    private Task<JsonObject> CreateAsync(JsonObject pod, string ns = "shop") => _user.CreateAsync($"/api/v1/namespaces/{ns}/pods", (JsonObject)pod.DeepClone(), TestContext.Current.CancellationToken);

    private static JsonObject Pod(string name) => new()
    {
        ["apiVersion"] = "v1", ["kind"] = "Pod", ["metadata"] = new JsonObject { ["name"] = name }, ["spec"] = new JsonObject { ["containers"] = new JsonArray(new JsonObject { ["name"] = "web", ["image"] = "web" }) },
    };
}
