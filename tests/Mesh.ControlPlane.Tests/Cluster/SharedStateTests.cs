using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Tests.CertificateAuthority;
using Mesh.Hosting;
using Mesh.Testing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.Cluster;

/// <summary>Replicas that share nothing but the API server.</summary>
public sealed class SharedStateTests : IAsyncLifetime
{
    private const string Secret = "mesh-authority";
    private ClusterMesh _mesh = null!;

    public async ValueTask InitializeAsync() => _mesh = await ClusterMesh.StartAsync();

    public ValueTask DisposeAsync() => _mesh.DisposeAsync();

    [Fact]
    public async Task FirstStart_OfThreeAtOnce_MakesOneRoot()
    {
        var replicas = await _mesh.ReplicasAsync("cp-a", "cp-b", "cp-c");

        Assert.Single(replicas.Select(r => r.State.Signing.RootId).Distinct());
        Assert.Single(replicas.Select(r => r.State.Signing.Issuer.Certificate).Distinct());
        Assert.Single(replicas.Select(r => r.Addresses.Token).Distinct());
        Assert.Equal("mesh-system", _mesh.Server.Get("secrets", ClusterMesh.Ns, Secret)["metadata"]!["namespace"]!.GetValue<string>());
        await _mesh.LeaderAsync();
    }

    [Fact]
    public async Task Changes_OnWhicheverReplica_AreTakenByAll_AndNoneIsLost()
    {
        var replicas = await _mesh.ReplicasAsync("cp-a", "cp-b", "cp-c");
        await _mesh.LeaderAsync();

        // All at once, on all: each writes on what it has read, and those that lost the race write again.
        var answers = await Task.WhenAll(replicas.SelectMany(r => Enumerable.Range(0, 4).Select(async i =>
        {
            using var api = r.Api();
            return await api.PostAsJsonAsync("/api/v1/identity/revocations", new { id = $"shop/{r.Name}-{i}" }, TestContext.Current.CancellationToken);
        })));

        Assert.All(answers, a => Assert.Equal(HttpStatusCode.OK, a.StatusCode));
        await Eventually.Async(() => replicas.All(r => Revoked(r) == 12), "every replica knows all twelve");
        using (var api = replicas[1].Api())
        {
            using var request = new HttpRequestMessage(HttpMethod.Delete, "/api/v1/identity/revocations") { Content = JsonContent.Create(new { id = "shop/cp-a-0" }) };
            Assert.Equal(HttpStatusCode.OK, (await api.SendAsync(request, TestContext.Current.CancellationToken)).StatusCode);
            Assert.Equal(HttpStatusCode.OK, (await api.PostAsync("/api/v1/identity/rotate", null, TestContext.Current.CancellationToken)).StatusCode);
            Assert.Equal(HttpStatusCode.OK, (await api.PutAsJsonAsync("/api/v1/identity/leaf_life", new { seconds = 7200 }, TestContext.Current.CancellationToken)).StatusCode);
            Assert.Equal(HttpStatusCode.Conflict, (await api.PostAsJsonAsync("/api/v1/tokens", new { @namespace = "shop", service_account = "cart" }, TestContext.Current.CancellationToken)).StatusCode);
        }

        var policies = replicas.Select(r => (LeafPolicyStore)r.Services.GetService(typeof(LeafPolicyStore))!).ToList();
        await Eventually.Async(() => replicas.All(r => Revoked(r) == 11) && policies.All(p => p.LeafLife == TimeSpan.FromHours(2)), "every replica knows that");
        Assert.Single(policies.Select(p => p.IssuedAfter).Distinct());
        Assert.NotEqual(DateTimeOffset.UnixEpoch, policies[0].IssuedAfter);

        var late = await _mesh.ReplicaAsync("cp-d");
        Assert.Equal((11, TimeSpan.FromHours(2)), (Revoked(late), ((LeafPolicyStore)late.Services.GetService(typeof(LeafPolicyStore))!).LeafLife));
    }

    [Fact]
    public async Task Secret_Damaged_IsRefusedLoudly_AndTheLastGoodStays_UntilItIsRestored()
    {
        var replicas = await _mesh.ReplicasAsync("cp-a", "cp-b");
        await _mesh.LeaderAsync();
        var root = replicas[0].State.Signing.RootId;
        var copy = _mesh.Server.Get("secrets", ClusterMesh.Ns, Secret)["data"]!.DeepClone();

        _mesh.Server.Change("secrets", ClusterMesh.Ns, Secret, s => s["data"]!["authority.json"] = Convert.ToBase64String(Encoding.UTF8.GetBytes("{\"phase\": \"Stable\"}")));

        await Eventually.Async(() => replicas.All(r => r.Logs.GetSnapshot().Any(l => l.Id.Id == 5233)), "both say so");
        Assert.All(replicas, r => Assert.Equal(root, r.State.Signing.RootId));
        using (var api = replicas[0].Api())
        {
            var answer = await api.PostAsJsonAsync("/api/v1/identity/revocations", new { id = "shop/cart" }, TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
            Assert.Contains("mesh-authority", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
            Assert.Contains("mesh_controlplane_authority_refused 1", await api.GetStringAsync("/metrics", TestContext.Current.CancellationToken), StringComparison.Ordinal);
        }

        // Nothing is made in its place: the damaged one stays for somebody to look at, and no other replica starts on it.
        var refused = await Assert.ThrowsAsync<MeshConfigurationException>(() => _mesh.ReplicaAsync("cp-c"));
        Assert.Contains("restore it from a copy", refused.Message, StringComparison.OrdinalIgnoreCase);

        _mesh.Server.Change("secrets", ClusterMesh.Ns, Secret, s => s["data"] = copy.DeepClone());
        using (var api = replicas[1].Api())
        {
            await Eventually.Async(
                async () => (await api.PostAsJsonAsync("/api/v1/identity/revocations", new { id = "shop/cart" }, TestContext.Current.CancellationToken)).IsSuccessStatusCode, "it can be changed again");
        }

        await Eventually.Async(() => replicas.All(r => Revoked(r) == 1), "both know it");
    }

    [Fact]
    public async Task Secret_Deleted_IsWrittenAgainByTheLeader_AndNeverReplacedByAnotherRoot()
    {
        var replicas = await _mesh.ReplicasAsync("cp-a", "cp-b");
        await _mesh.LeaderAsync();
        await Eventually.Async(() => _mesh.Server.Find("configmaps", ClusterMesh.Ns, "mesh-trust-bundle") is not null, "the bundle is there");
        var root = replicas[0].State.Signing.RootId;

        _mesh.Server.Delete("secrets", ClusterMesh.Ns, Secret);

        await Eventually.Async(() => _mesh.Server.Find("secrets", ClusterMesh.Ns, Secret) is not null, "it is there again");
        var late = await _mesh.ReplicaAsync("cp-c");
        Assert.Equal(root, late.State.Signing.RootId);

        // With nobody there who remembers it, a new root would be believed by no workload: none is made.
        foreach (var replica in _mesh.Replicas)
        {
            await _mesh.StopAsync(replica);
        }

        _mesh.Server.Delete("secrets", ClusterMesh.Ns, Secret);
        var refused = await Assert.ThrowsAsync<MeshConfigurationException>(() => _mesh.ReplicaAsync("cp-d"));
        Assert.Contains("mesh-trust-bundle", refused.Message, StringComparison.Ordinal);
        Assert.Null(_mesh.Server.Find("secrets", ClusterMesh.Ns, Secret));
    }

    [Fact]
    public async Task Issuer_OfAnOperatorsSecret_SignsEverywhere_AndIsReadLive()
    {
        using var ca = new GivenCa("corporate root", new FakeTimeProvider(DateTimeOffset.UtcNow));
        var (first, second) = (ca.Issuer("first"), ca.Issuer("second"));
        Give(first);
        var replicas = await _mesh.ReplicasAsync("cp-a", "cp-b");
        await _mesh.LeaderAsync();
        Assert.All(replicas, r => Assert.Equal((AuthorityOrigin.GivenIssuer, "CN=first"), (r.State.Signing.Origin, Issuer(r))));

        Give(second);
        await Eventually.Async(() => replicas.All(r => Issuer(r) == "CN=second"), "both sign with the new one", TimeSpan.FromSeconds(20));
        Assert.All(replicas, r => Assert.Equal(RotationPhase.Stable, r.State.Phase));

        // Gone by accident: what is kept signs on, also in a replica that starts now.
        _mesh.Server.Delete("secrets", ClusterMesh.Ns, "mesh-issuer");
        var late = await _mesh.ReplicaAsync("cp-c");
        Assert.Equal("CN=second", Issuer(late));

        static string Issuer(ClusterMesh.Replica replica) => replica.State.Signing.Issuer.Certificate.SubjectDN.ToString();
        void Give((string Certificate, string Key) issuer) => _mesh.Server.Apply(new JsonObject
        {
            ["apiVersion"] = "v1",
            ["kind"] = "Secret",
            ["type"] = "kubernetes.io/tls",
            ["metadata"] = new JsonObject { ["name"] = "mesh-issuer", ["namespace"] = ClusterMesh.Ns },
            ["data"] = new JsonObject { ["tls.crt"] = Base64(issuer.Certificate), ["tls.key"] = Base64(issuer.Key), ["ca.crt"] = Base64(ca.Pem) },
        });
        static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));
    }

    [Fact]
    public async Task Api_TakesNoTokenThatIsNotForIt()
    {
        var replica = await _mesh.ReplicaAsync("cp-a");
        using var workload = replica.Api(_mesh.Server.IssueToken("shop", "cart", audience: "meshlib.io"));
        using var nonsense = replica.Api("nonsense");

        Assert.Equal(HttpStatusCode.Unauthorized, (await workload.GetAsync("/api/v1/status", TestContext.Current.CancellationToken)).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await nonsense.GetAsync("/api/v1/status", TestContext.Current.CancellationToken)).StatusCode);
        Assert.Equal("ok", await nonsense.GetStringAsync("/readyz", TestContext.Current.CancellationToken));
    }

    private static int Revoked(ClusterMesh.Replica replica) => ((TrustBundleStore)replica.Services.GetService(typeof(TrustBundleStore))!).Revocations.Count;
}
