using System.Collections.Concurrent;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Mesh.ControlPlane.Tests.Cluster;

/// <summary>Whole control planes with real workloads attached: what happens to calls when replicas come, go and change the root.</summary>
public sealed class ReplicaTests : IAsyncLifetime
{
    private const string CallerId = "spiffe://cluster.local/ns/shop/sa/caller";
    private ClusterMesh _mesh = null!;

    public async ValueTask InitializeAsync() => _mesh = await ClusterMesh.StartAsync();

    public ValueTask DisposeAsync() => _mesh.DisposeAsync();

    [Fact]
    public async Task Mark_StandsOnThePod_AndAllReplicasRestartedAtOnce_NobodyFallsToPlaintext()
    {
        await _mesh.ReplicasAsync("cp-a", "cp-b");
        await _mesh.ServeAsync("cart");
        using var client = Client(await _mesh.CallerAsync("caller"));
        await Eventually.Async(() => _mesh.Mark("cart-1").StartsWith("library:", StringComparison.Ordinal), "the mark stands on the Pod", TimeSpan.FromSeconds(30));
        await Eventually.Async(() => _mesh.Replicas.All(IsMeshed), "every replica sees it");
        await Eventually.Async(async () => await CallAsync(client) == CallerId, "calls are mutual TLS", TimeSpan.FromSeconds(30));
        var root = _mesh.Replicas[0].State.Signing.RootId;

        // All are gone at once, and what comes in their place has their objects alone.
        await using var calls = new Calls(client);
        foreach (var replica in _mesh.Replicas)
        {
            await _mesh.KillAsync(replica);
        }

        var next = await _mesh.ReplicasAsync("cp-c", "cp-d");
        Assert.All(next, r => Assert.True(IsMeshed(r)));
        Assert.All(next, r => Assert.Equal(root, r.State.Signing.RootId));
        await Eventually.Async(() => next.Sum(r => r.Clients.Count) == 2, "both workloads have come back", TimeSpan.FromSeconds(40));
        await calls.FlowAsync(50);
        Assert.Equal([CallerId], (await calls.EndAsync()).Distinct());

        // A missing stream takes no mark back; the Pod's end does.
        _mesh.Server.Delete("pods", "shop", "cart-1");
        _mesh.Pod("shop", "cart-1", "cart", "127.0.0.2", 1);
        await Eventually.Async(() => next.All(r => !IsMeshed(r)), "a new Pod begins without");
    }

    [Fact]
    public async Task Leader_Killed_AnotherGoesOn_AndNoCallFails()
    {
        await _mesh.ReplicasAsync("cp-a", "cp-b", "cp-c");
        await _mesh.ServeAsync("cart");
        using var client = Client(await _mesh.CallerAsync("caller"));
        await _mesh.LeaderAsync();
        await Eventually.Async(async () => await CallAsync(client) == CallerId, "calls are mutual TLS", TimeSpan.FromSeconds(30));
        await using var calls = new Calls(client);
        var leader = _mesh.Leader;

        await _mesh.KillAsync(leader);

        await _mesh.LeaderAsync();
        Assert.NotEqual(leader.Name, _mesh.Leader.Name);
        // Its work goes on: a namespace that comes now gets the roots.
        _mesh.Server.Apply("{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {\"name\": \"late\"}}");
        await Eventually.Async(() => _mesh.Server.Find("configmaps", "late", "mesh-trust-bundle") is not null, "the new namespace has the roots", TimeSpan.FromSeconds(20));
        await calls.FlowAsync(50);
        Assert.Equal([CallerId], (await calls.EndAsync()).Distinct());
    }

    [Fact]
    public async Task Leader_Stopped_GivesTheLeaseAwayFirst()
    {
        await _mesh.ReplicasAsync("cp-a", "cp-b");
        await _mesh.LeaderAsync();
        var leader = _mesh.Leader;
        var watch = System.Diagnostics.Stopwatch.StartNew();

        await _mesh.StopAsync(leader);

        Assert.DoesNotContain(leader.Name, _mesh.Server.Get("leases.coordination.k8s.io", ClusterMesh.Ns, "mesh-control-plane")["spec"]!["holderIdentity"]!.GetValue<string>(), StringComparison.Ordinal);
        Assert.Contains("\"stopped\":true", Summary(leader.Name), StringComparison.Ordinal);
        await _mesh.LeaderAsync();
        Assert.NotEqual(leader.Name, _mesh.Leader.Name);
        TestContext.Current.TestOutputHelper?.WriteLine($"the other led {watch.Elapsed.TotalSeconds:0.0} s after the stop began");
    }

    [Fact]
    public async Task Replica_CutOff_ServesOn_LeadsNoMore_AndTakesUpWhatItMissed()
    {
        await _mesh.ReplicasAsync("cp-a", "cp-b");
        await _mesh.ServeAsync("cart");
        using var client = Client(await _mesh.CallerAsync("caller"));
        await _mesh.LeaderAsync();
        await Eventually.Async(async () => await CallAsync(client) == CallerId, "calls are mutual TLS", TimeSpan.FromSeconds(30));
        var (cut, other) = (_mesh.Leader, _mesh.Replicas.Single(r => !r.Lease.IsLeader));
        await using var calls = new Calls(client);

        cut.Wire.Cut();

        await Eventually.Async(() => other.Lease.IsLeader && !cut.Lease.IsLeader, "the other leads", TimeSpan.FromSeconds(40));
        using (var api = other.Api())
        {
            (await api.PostAsJsonAsync("/api/v1/identity/revocations", new { id = "shop/other" }, TestContext.Current.CancellationToken)).EnsureSuccessStatusCode();
        }

        // It answers still, and is ready: callers lose nothing by asking it.
        using (var api = cut.Api())
        {
            Assert.Equal("ok", await api.GetStringAsync("/readyz", TestContext.Current.CancellationToken));
            var refused = await api.PostAsJsonAsync("/api/v1/identity/revocations", new { id = "shop/third" }, TestContext.Current.CancellationToken);
            Assert.Equal(System.Net.HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        }

        // A change of the root waits for it: it would go on trusting and signing by what it knew.
        using (var api = other.Api())
        {
            (await api.PostAsync("/api/v1/identity/root/rotate", null, TestContext.Current.CancellationToken)).EnsureSuccessStatusCode();
            await Eventually.Async(
                async () => (await api.GetFromJsonAsync<JsonObject>("/api/v1/identity/root", TestContext.Current.CancellationToken))!["waiting"]!.AsArray().Any(w => w!["node"]!.GetValue<string>() == cut.Name),
                "the change waits for the replica that is cut off");
        }

        cut.Wire.Mend();
        await Eventually.Async(() => cut.State.Phase == RotationPhase.Distributing && Revocations(cut) == 1, "it has taken what it missed", TimeSpan.FromSeconds(30));
        await calls.FlowAsync(50);
        Assert.Equal([CallerId], (await calls.EndAsync()).Distinct());
    }

    /// <summary>Leaves of 20 s: what takes two days goes by in a minute.</summary>
    [Fact]
    public async Task Root_ChangedAcrossReplicas_NoCallFails_AlsoWhenTheLeaderGoes()
    {
        await Task.WhenAll(new[] { "cp-a", "cp-b", "cp-c" }.Select(n => _mesh.ReplicaAsync(n, Short)));
        await _mesh.ServeAsync("cart");
        using var client = Client(await _mesh.CallerAsync("caller"));
        await _mesh.LeaderAsync();
        _mesh.Server.Apply(Webhooks);
        await Eventually.Async(async () => await CallAsync(client) == CallerId, "calls are mutual TLS", TimeSpan.FromSeconds(30));
        await using var calls = new Calls(client);
        var old = _mesh.Replicas[0].State.Signing.RootId;
        var follower = _mesh.Replicas.First(r => !r.Lease.IsLeader);
        using (var api = follower.Api())
        {
            (await api.PostAsync("/api/v1/identity/root/rotate", null, TestContext.Current.CancellationToken)).EnsureSuccessStatusCode();
        }

        await Eventually.Async(() => _mesh.Replicas.All(r => r.State.Phase == RotationPhase.Distributing && r.Authority.Trust.Roots.Count == 2), "all trust both", TimeSpan.FromSeconds(20));
        await Eventually.Async(() => Roots("shop") == 2 && CaBundle() == 2, "pods and the API server are given both", TimeSpan.FromSeconds(20));
        var leader = _mesh.Leader;
        await _mesh.StopAsync(leader);
        await _mesh.ReplicaAsync("cp-d", Short);

        await Eventually.Async(() => _mesh.Replicas.All(r => r.State.Phase == RotationPhase.Stable && r.State.Signing.RootId != old), "the new root signs alone", TimeSpan.FromSeconds(240));
        await Eventually.Async(() => Roots("shop") == 1 && CaBundle() == 1, "pods and the API server are given the new one alone", TimeSpan.FromSeconds(20));
        await calls.FlowAsync(100);
        var answers = await calls.EndAsync();
        Assert.Equal([CallerId], answers.Distinct());
        TestContext.Current.TestOutputHelper?.WriteLine($"{answers.Count} calls");

        static void Short(MeshControlPlaneOptions options) => options.LeafLife = TimeSpan.FromSeconds(20);
    }

    private const string Webhooks = """
        apiVersion: admissionregistration.k8s.io/v1
        kind: MutatingWebhookConfiguration
        metadata: { name: mesh-injector }
        webhooks:
        - { name: inject.meshlib.io, admissionReviewVersions: [v1], sideEffects: None, failurePolicy: Ignore, clientConfig: { service: { name: mesh-control-plane, namespace: mesh-system, path: /inject, port: 443 } } }
        """;

    private int Roots(string ns) => Count(_mesh.Server.Find("configmaps", ns, "mesh-trust-bundle")?["data"]?["ca.crt"]?.GetValue<string>());

    private int CaBundle() => Count(_mesh.Server.Get("mutatingwebhookconfigurations.admissionregistration.k8s.io", string.Empty, "mesh-injector")["webhooks"]![0]!["clientConfig"]!["caBundle"]?.GetValue<string>() is { } bundle
        ? Encoding.UTF8.GetString(Convert.FromBase64String(bundle)) : null);

    private static int Count(string? pem) => pem?.Split("BEGIN CERTIFICATE").Length - 1 ?? 0;

    private string Summary(string pod) => _mesh.Server.Get("configmaps", ClusterMesh.Ns, $"mesh-replica-{pod}")["data"]!["summary.json"]!.GetValue<string>();

    private static int Revocations(ClusterMesh.Replica replica) => replica.Services.GetRequiredService<TrustBundleStore>().Revocations.Count;

    private static bool IsMeshed(ClusterMesh.Replica replica) =>
        replica.Models.Current.Services.Values.SelectMany(s => s.Endpoints).Any(e => e is { ServiceAccount: "cart", Meshed: true });

    private static HttpClient Client(WebApplication caller) => caller.Services.GetRequiredService<IHttpClientFactory>().CreateClient();

    private static async Task<string> CallAsync(HttpClient client)
    {
        try
        {
            using var response = await client.GetAsync(new Uri("http://cart.shop"), TestContext.Current.CancellationToken);
            return response.IsSuccessStatusCode ? await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken) : $"{(int)response.StatusCode}: {await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)}";
        }
        catch (HttpRequestException e)
        {
            return e.ToString();
        }
    }

    /// <summary>Calls at a steady pace; each answer is kept.</summary>
    private sealed class Calls : IAsyncDisposable
    {
        private readonly ConcurrentQueue<string> _answers = new();
        private readonly CancellationTokenSource _stop = new();
        private readonly Task _running;

        public Calls(HttpClient client) => _running = Task.Run(async () =>
        {
            using var ticks = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
            while (!_stop.IsCancellationRequested && await ticks.WaitForNextTickAsync(CancellationToken.None))
            {
                _answers.Enqueue(await CallAsync(client));
            }
        });

        public Task FlowAsync(int more)
        {
            var until = _answers.Count + more;
            return Eventually.Async(() => _answers.Count >= until, $"{more} more calls", TimeSpan.FromSeconds(60));
        }

        public async Task<IReadOnlyCollection<string>> EndAsync()
        {
            await _stop.CancelAsync();
            await _running;
            return _answers;
        }

        public async ValueTask DisposeAsync()
        {
            await EndAsync();
            _stop.Dispose();
        }
    }
}
