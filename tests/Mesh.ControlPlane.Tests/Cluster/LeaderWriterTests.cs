using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Mesh.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.Cluster;

/// <summary>What the leader keeps as it should be.</summary>
public sealed class LeaderWriterTests : IAsyncLifetime
{
    private const string Mutating = "mutatingwebhookconfigurations.admissionregistration.k8s.io";
    private const string Validating = "validatingwebhookconfigurations.admissionregistration.k8s.io";
    private ClusterMesh _mesh = null!;

    public async ValueTask InitializeAsync() => _mesh = await ClusterMesh.StartAsync();

    public ValueTask DisposeAsync() => _mesh.DisposeAsync();

    [Fact]
    public async Task Bundle_StandsInEveryNamespace_AndComesBackWhenItIsEditedOrDeleted()
    {
        var replica = await _mesh.ReplicaAsync("cp-a");
        var pem = replica.Authority.Trust.Pem;
        _mesh.Server.Apply("{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {\"name\": \"late\"}}");

        await Eventually.Async(() => new[] { "shop", "late", ClusterMesh.Ns }.All(n => Bundle(n) == pem), "it is in every namespace", TimeSpan.FromSeconds(20));
        _mesh.Server.Change("configmaps", "shop", "mesh-trust-bundle", c => c["data"] = new JsonObject { ["ca.crt"] = "nonsense" });
        _mesh.Server.Delete("configmaps", "late", "mesh-trust-bundle");
        await Eventually.Async(() => new[] { "shop", "late" }.All(n => Bundle(n) == pem), "it is as it was", TimeSpan.FromSeconds(20));
    }

    [Fact]
    public async Task CaBundle_IsWritten_AlsoAgain_AndItKnowsTheWebhooks()
    {
        var replica = await _mesh.ReplicaAsync("cp-a");
        var manifest = $$"""
            apiVersion: admissionregistration.k8s.io/v1
            kind: MutatingWebhookConfiguration
            metadata: { name: mesh-injector }
            webhooks:
            - { name: a.meshlib.io, admissionReviewVersions: [v1], sideEffects: None, failurePolicy: Ignore, clientConfig: { service: { name: mesh-control-plane, namespace: mesh-system, path: /inject } } }
            - { name: b.meshlib.io, admissionReviewVersions: [v1], sideEffects: None, failurePolicy: Ignore, clientConfig: { service: { name: mesh-control-plane, namespace: mesh-system, path: /inject } } }
            ---
            apiVersion: admissionregistration.k8s.io/v1
            kind: ValidatingWebhookConfiguration
            metadata: { name: mesh-validator }
            webhooks:
            - { name: a.meshlib.io, admissionReviewVersions: [v1], sideEffects: None, failurePolicy: Ignore, clientConfig: { service: { name: mesh-control-plane, namespace: mesh-system, path: /validate } } }
            ---
            apiVersion: admissionregistration.k8s.io/v1
            kind: ValidatingWebhookConfiguration
            metadata: { name: somebody-else }
            webhooks:
            - { name: a.example.com, admissionReviewVersions: [v1], sideEffects: None, failurePolicy: Ignore, clientConfig: { service: { name: x, namespace: y } } }
            """;
        _mesh.Server.Apply(manifest);

        await Eventually.Async(() => Bundles(Mutating, "mesh-injector").Concat(Bundles(Validating, "mesh-validator")).All(b => b == replica.Authority.Trust.Pem), "all have the roots", TimeSpan.FromSeconds(20));
        Assert.Equal([null], Bundles(Validating, "somebody-else"));
        _mesh.Server.Change(Mutating, string.Empty, "mesh-injector", c => ((JsonObject)c["webhooks"]![1]!["clientConfig"]!).Remove("caBundle"));
        await Eventually.Async(() => Bundles(Mutating, "mesh-injector").All(b => b == replica.Authority.Trust.Pem), "it is written again", TimeSpan.FromSeconds(20));

        // As the API server calls: by the Service's name and that bundle alone.
        using var handler = new SocketsHttpHandler { UseProxy = false };
        handler.SslOptions.TargetHost = "mesh-control-plane.mesh-system.svc";
        var policy = new System.Security.Cryptography.X509Certificates.X509ChainPolicy { TrustMode = System.Security.Cryptography.X509Certificates.X509ChainTrustMode.CustomRootTrust, RevocationMode = System.Security.Cryptography.X509Certificates.X509RevocationMode.NoCheck };
        policy.CustomTrustStore.ImportFromPem(Bundles(Mutating, "mesh-injector")[0]);
        handler.SslOptions.CertificateChainPolicy = policy;
        using var client = new HttpClient(handler);
        using var answer = await client.PostAsync(new Uri($"https://{replica.Webhooks}/inject"), new StringContent("{}", Encoding.UTF8, "application/json"), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
    }

    [Fact]
    public async Task Status_IsWrittenByTheLeaderAlone_BesideOthers()
    {
        _mesh.Server.Apply(Crd);
        _mesh.Server.Apply("""
            apiVersion: v1
            kind: Service
            metadata: { name: cart, namespace: shop }
            spec: { clusterIP: 10.96.0.9, clusterIPs: [10.96.0.9], ports: [{ name: web, port: 80 }] }
            ---
            apiVersion: gateway.networking.k8s.io/v1
            kind: HTTPRoute
            metadata: { name: cart, namespace: shop, generation: 1 }
            spec: { parentRefs: [{ group: "", kind: Service, name: cart }], rules: [{ backendRefs: [{ name: cart, port: 80 }] }] }
            status: { parents: [{ parentRef: { name: edge }, controllerName: example.com/edge, conditions: [] }] }
            """);
        await _mesh.ReplicasAsync("cp-a", "cp-b");

        try
        {
            await Eventually.Async(() => Parents().Count == 2, "ours stands beside the other", TimeSpan.FromSeconds(30));
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{e.Message} Replicas say: {_mesh.Said()}", e);
        }

        Assert.Equal(["example.com/edge", "meshlib.io/control-plane"], Parents().Select(p => p!["controllerName"]!.GetValue<string>()));
        var accepted = Parents()[1]!["conditions"]!.AsArray().Single(c => c!["type"]!.GetValue<string>() == "Accepted")!;
        Assert.Equal(("True", 1), (accepted["status"]!.GetValue<string>(), accepted["observedGeneration"]!.GetValue<int>()));
        Assert.Matches(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", accepted["lastTransitionTime"]!.GetValue<string>());

        // Nothing new, nothing written: not by a change elsewhere, nor by the other replica when it begins to lead.
        var writes = Writes();
        var leader = _mesh.Leader;
        await _mesh.StopAsync(leader);
        await _mesh.LeaderAsync();
        _mesh.Server.Apply("apiVersion: v1\nkind: Service\nmetadata: { name: other, namespace: shop }\nspec: { clusterIP: 10.96.0.10, clusterIPs: [10.96.0.10], ports: [{ name: web, port: 80 }] }");
        await Eventually.Async(() => _mesh.Server.Log.All.Any(r => r.Verb == "get" && r.Resource.StartsWith("httproutes", StringComparison.Ordinal)), "the new leader has looked", TimeSpan.FromSeconds(20));
        Assert.Equal(writes, Writes());
    }

    private string? Bundle(string ns) => _mesh.Server.Find("configmaps", ns, "mesh-trust-bundle")?["data"]?["ca.crt"]?.GetValue<string>();

    private IReadOnlyList<string?> Bundles(string resource, string name) => [.. _mesh.Server.Get(resource, string.Empty, name)["webhooks"]!.AsArray()
        .Select(w => w!["clientConfig"]!["caBundle"]?.GetValue<string>() is { } bundle ? Encoding.UTF8.GetString(Convert.FromBase64String(bundle)) : null)];

    private JsonArray Parents() => _mesh.Server.Get("httproutes.gateway.networking.k8s.io", "shop", "cart")["status"]?["parents"] as JsonArray ?? [];

    private int Writes() => _mesh.Server.Log.All.Count(r => r.Verb == "patch" && r.Resource.StartsWith("httproutes", StringComparison.Ordinal));

    /// <summary>As much of Gateway API's definition as says that it is there.</summary>
    private const string Crd = """
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata: { name: httproutes.gateway.networking.k8s.io, annotations: { api-approved.kubernetes.io: "https://gateway-api.sigs.k8s.io" } }
        spec:
          group: gateway.networking.k8s.io
          names: { kind: HTTPRoute, listKind: HTTPRouteList, plural: httproutes, singular: httproute }
          scope: Namespaced
          versions:
          - name: v1
            served: true
            storage: true
            subresources: { status: {} }
            schema: { openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true } }
        """;
}
