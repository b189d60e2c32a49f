using System.Net;
using System.Text.Json;
using Mesh.ControlPlane.Cluster;
using Mesh.ControlPlane.Install;
using Mesh.Testing;
using Mesh.Testing.Kubernetes;
using Xunit;

namespace Mesh.ControlPlane.Tests.Cluster;

/// <summary>The control plane under the rights that it is installed with, and callers of its API under theirs.</summary>
public sealed class ClusterRightsTests : IAsyncLifetime
{
    private ClusterMesh _mesh = null!;

    public async ValueTask InitializeAsync()
    {
        _mesh = await ClusterMesh.StartAsync(new FakeKubeApiOptions { Authorize = true });
        using var manifest = new StreamReader(typeof(ClusterNames).Assembly.GetManifestResourceStream(
            typeof(ClusterNames).Assembly.GetManifestResourceNames().Single(n => n.EndsWith("rbac.yaml", StringComparison.Ordinal)))!);
        _mesh.Server.Apply(await manifest.ReadToEndAsync(TestContext.Current.CancellationToken));
        _mesh.ControlPlaneToken = _mesh.Server.IssueToken(ClusterMesh.Ns, "mesh-control-plane");
    }

    public ValueTask DisposeAsync() => _mesh.DisposeAsync();

    [Fact]
    public async Task EverythingItDoes_IsAllowed()
    {
        await _mesh.ReplicasAsync("cp-a", "cp-b");
        await _mesh.LeaderAsync();
        await _mesh.ServeAsync("cart");
        await Eventually.Async(() => _mesh.Mark("cart-1") != "none", "a workload has joined and its mark is written", TimeSpan.FromSeconds(40));
        await Eventually.Async(() => _mesh.Server.Find("configmaps", "shop", "mesh-trust-bundle") is not null, "the leader has written", TimeSpan.FromSeconds(20));
        foreach (var replica in _mesh.Replicas)
        {
            await _mesh.StopAsync(replica);
        }

        Assert.Empty(_mesh.Server.Log.All.Where(r => r.Status is 401 or 403).Select(r => $"{r.User}: {r.Verb} {r.Resource} {r.Namespace}/{r.Name}").Distinct());
    }

    [Fact]
    public async Task Api_ReadsAndChanges_AsTheCallersRoleSays()
    {
        _mesh.Server.Apply("""
            apiVersion: rbac.authorization.k8s.io/v1
            kind: ClusterRole
            metadata: { name: mesh-reader }
            rules: [{ apiGroups: [policy.meshlib.io], resources: [meshes], verbs: [get] }]
            ---
            apiVersion: rbac.authorization.k8s.io/v1
            kind: ClusterRoleBinding
            metadata: { name: mesh-reader }
            roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: mesh-reader }
            subjects: [{ kind: ServiceAccount, name: reader, namespace: shop }]
            ---
            apiVersion: rbac.authorization.k8s.io/v1
            kind: ClusterRoleBinding
            metadata: { name: mesh-tapper }
            roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: mesh-tapper }
            subjects: [{ kind: ServiceAccount, name: tapper, namespace: shop }]
            ---
            apiVersion: rbac.authorization.k8s.io/v1
            kind: ClusterRoleBinding
            metadata: { name: mesh-operator }
            roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: mesh-operator }
            subjects: [{ kind: ServiceAccount, name: operator, namespace: shop }]
            """);
        var replica = await _mesh.ReplicaAsync("cp-a");
        using var reader = replica.Api(_mesh.Server.IssueToken("shop", "reader"));
        using var nobody = replica.Api(_mesh.Server.IssueToken("shop", "nobody"));
        using var workload = replica.Api(_mesh.Server.IssueToken("shop", "reader", audience: "meshlib.io"));
        using var admin = replica.Api();

        Assert.Equal(HttpStatusCode.OK, await AskAsync(reader, HttpMethod.Get, "/api/v1/status"));
        Assert.Equal(HttpStatusCode.Forbidden, await AskAsync(reader, HttpMethod.Post, "/api/v1/identity/rotate"));
        Assert.Equal(HttpStatusCode.Forbidden, await AskAsync(nobody, HttpMethod.Get, "/api/v1/status"));
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(workload, HttpMethod.Get, "/api/v1/status"));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(admin, HttpMethod.Post, "/api/v1/identity/rotate"));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(nobody, HttpMethod.Get, "/livez"));

        Assert.Equal("view", await RightsAsync(reader));
        foreach (var (name, rights) in new[] { ("tapper", "view tap"), ("operator", "view tap change") })
        {
            using var person = replica.Api(_mesh.Server.IssueToken("shop", name));
            Assert.Equal(rights, await RightsAsync(person));
        }

        using var audit = JsonDocument.Parse(await admin.GetStringAsync("/api/v1/audit", TestContext.Current.CancellationToken));
        Assert.Contains(audit.RootElement.GetProperty("items").EnumerateArray(), e => e.GetProperty("who").GetString() == "system:serviceaccount:shop:reader" && e.GetProperty("status").GetInt32() == 403);
    }

    /// <summary>A temporary fault is an object of the cluster, and gone when it is over.</summary>
    [Fact]
    public async Task Faults_AreObjectsThatTheLeaderRemoves()
    {
        foreach (var definition in InstallManifest.Crds(new InstallValues()))
        {
            _mesh.Server.Apply(definition);
        }

        await _mesh.ReplicasAsync("cp-a", "cp-b");
        await _mesh.LeaderAsync();
        await _mesh.ServeAsync("cart");
        using var api = _mesh.Replicas[0].Api();
        async Task<JsonElement> AddAsync(int seconds)
        {
            JsonElement made = default;
            await Eventually.Async(async () =>
            {
                using var content = new StringContent($$"""{"namespace":"shop","service":"cart","delay_ms":50,"seconds":{{seconds}}}""", System.Text.Encoding.UTF8, "application/json");
                using var answer = await api.PostAsync("/api/v1/faults", content, TestContext.Current.CancellationToken);
                made = JsonDocument.Parse(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).RootElement.Clone();
                return answer.StatusCode == HttpStatusCode.OK;
            }, "the Service is known and the fault is taken", TimeSpan.FromSeconds(30));
            return made;
        }

        var ended = (await AddAsync(600)).GetProperty("policy").GetString()!.Split('/')[1];
        Assert.NotNull(_mesh.Server.Find("faultpolicies.policy.meshlib.io", "shop", ended));
        var brief = (await AddAsync(1)).GetProperty("policy").GetString()!.Split('/')[1];
        Assert.Null(_mesh.Server.Find("faultpolicies.policy.meshlib.io", "shop", ended));

        await Eventually.Async(() => _mesh.Server.Find("faultpolicies.policy.meshlib.io", "shop", brief) is null, "the leader removes what is over", TimeSpan.FromSeconds(40));
    }

    private static async Task<string> RightsAsync(HttpClient client)
    {
        using var info = JsonDocument.Parse(await client.GetStringAsync("/api/v1/info", TestContext.Current.CancellationToken));
        return string.Join(' ', info.RootElement.GetProperty("rights").EnumerateArray().Select(r => r.GetString()));
    }

    private static async Task<HttpStatusCode> AskAsync(HttpClient client, HttpMethod method, string path)
    {
        using var request = new HttpRequestMessage(method, path);
        using var answer = await client.SendAsync(request, TestContext.Current.CancellationToken);
        return answer.StatusCode;
    }
}
