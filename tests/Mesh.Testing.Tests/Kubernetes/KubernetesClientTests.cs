using k8s;
using k8s.LeaderElection;
using k8s.LeaderElection.ResourceLock;
using k8s.Models;
using Mesh.Testing.Kubernetes;
using Xunit;

namespace Mesh.Testing.Tests.Kubernetes;

/// <summary>The client library for .NET, typed.</summary>
public sealed class KubernetesClientTests
{
    [Fact]
    public async Task TypedObjects_AreMadeChangedAndDeleted()
    {
        await using var api = await FakeKubeApi.StartAsync();
        using var client = Client(api);
        var ct = TestContext.Current.CancellationToken;

        await client.CoreV1.CreateNamespaceAsync(new V1Namespace { Metadata = new V1ObjectMeta { Name = "shop" } }, cancellationToken: ct);
        var made = await client.CoreV1.CreateNamespacedPodAsync(new V1Pod { Metadata = new V1ObjectMeta { GenerateName = "cart-" }, Spec = new V1PodSpec { Containers = [new V1Container { Name = "c", Image = "c:1" }] } }, "shop", cancellationToken: ct);
        Assert.Matches("^cart-[a-z0-9]{5}$", made.Metadata.Name);
        Assert.Equal("default", made.Spec.ServiceAccountName);

        made.Status.PodIP = "10.0.0.1";
        var reported = await client.CoreV1.ReplaceNamespacedPodStatusAsync(made, made.Metadata.Name, "shop", cancellationToken: ct);
        Assert.Equal("10.0.0.1", reported.Status.PodIP);

        var pods = await client.CoreV1.ListPodForAllNamespacesAsync(cancellationToken: ct);
        Assert.Equal(made.Metadata.Name, Assert.Single(pods.Items).Metadata.Name);

        await client.CoreV1.DeleteNamespacedPodAsync(made.Metadata.Name, "shop", cancellationToken: ct);
        var gone = await Assert.ThrowsAsync<k8s.Autorest.HttpOperationException>(() => client.CoreV1.ReadNamespacedPodAsync(made.Metadata.Name, "shop", cancellationToken: ct));
        Assert.Equal(System.Net.HttpStatusCode.NotFound, gone.Response.StatusCode);
    }

    [Fact]
    public async Task Watch_SeesEachChange()
    {
        await using var api = await FakeKubeApi.StartAsync();
        using var client = Client(api);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(30));
        api.Apply("{ apiVersion: v1, kind: Secret, metadata: { name: first, namespace: shop } }");
        var seen = new List<string>();

        await foreach (var (type, secret) in client.CoreV1.WatchListNamespacedSecretAsync("shop", cancellationToken: limit.Token))
        {
            seen.Add($"{type} {secret.Metadata.Name}");
            if (seen.Count == 1)
            {
                api.Apply("{ apiVersion: v1, kind: Secret, metadata: { name: second, namespace: shop } }");
                api.Delete("secrets", "shop", "first");
            }

            if (seen.Count == 3)
            {
                break;
            }
        }

        Assert.Equal(["Added first", "Added second", "Deleted first"], seen);
    }

    [Fact]
    public async Task LeaderElection_HasOneLeaderAtATime()
    {
        await using var api = await FakeKubeApi.StartAsync();
        using var client = Client(api);
        api.Apply("{ apiVersion: v1, kind: Namespace, metadata: { name: mesh-system } }");
        using var stopFirst = new CancellationTokenSource();
        using var stopSecond = new CancellationTokenSource();
        var (first, second) = (Elector("one"), Elector("two"));

        var firstRun = first.RunUntilLeadershipLostAsync(stopFirst.Token);
        await Eventually.Async(() => first.IsLeader(), "the first leads");
        var secondRun = second.RunUntilLeadershipLostAsync(stopSecond.Token);
        api.Log.Clear();
        await Eventually.Async(() => api.Log.Count("get", "leases.coordination.k8s.io") > 6, "both have asked");
        Assert.False(second.IsLeader());

        await stopFirst.CancelAsync();
        await Eventually.Async(() => second.IsLeader(), "the second leads", TimeSpan.FromSeconds(20));
        Assert.Equal("two", api.Get("leases.coordination.k8s.io", "mesh-system", "lock").Text("spec", "holderIdentity"));
        await stopSecond.CancelAsync();
        await Task.WhenAll(Ended(firstRun), Ended(secondRun));
        first.Dispose();
        second.Dispose();

        LeaderElector Elector(string name) => new(new LeaderElectionConfig(new LeaseLock(client, "mesh-system", "lock", name))
        {
            LeaseDuration = TimeSpan.FromSeconds(2),
            RenewDeadline = TimeSpan.FromSeconds(1),
            RetryPeriod = TimeSpan.FromMilliseconds(100),
        });

        static async Task Ended(Task run) => await run.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private static k8s.Kubernetes Client(FakeKubeApi api) => new(new KubernetesClientConfiguration { Host = api.Address.ToString(), AccessToken = api.Token });
}
