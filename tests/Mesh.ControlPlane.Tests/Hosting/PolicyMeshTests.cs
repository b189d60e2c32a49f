using System.Globalization;
using Mesh.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Mesh.ControlPlane.Tests.Hosting;

/// <summary>Policies from their YAML to what real servers see of real calls.</summary>
public sealed class PolicyMeshTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("attempts: 3", 4)]
    [InlineData("attempts: 0", 1)]
    [InlineData("attempts: 3, retryOn: [connect-failure]", 1)]
    [InlineData("attempts: 3, budget: { percent: 0, minPerSecond: 0 }", 1)]
    public async Task RetryPolicy_ServerFails_SeesSoManyAttempts(string spec, int attempts)
    {
        await using var mesh = await PolicyMesh.StartAsync(PolicyMesh.Policy("RetryPolicy", $"{spec}, backoff: {{ base: 1ms }}"));
        mesh.Answer = (_, _) => Task.FromResult(503);

        Assert.Equal(503, await mesh.CallAsync(Token));

        Assert.Equal(attempts, mesh.Seen.Count);
    }

    [Fact]
    public async Task RetryPolicy_BudgetOfATenth_AddsATenthToTheLoad()
    {
        await using var mesh = await PolicyMesh.StartAsync(PolicyMesh.Policy("RetryPolicy", "attempts: 3, backoff: { base: 1ms }, budget: { percent: 10, minPerSecond: 0 }"));
        mesh.Answer = (_, _) => Task.FromResult(503);

        for (var i = 0; i < 40; i++)
        {
            Assert.Equal(503, await mesh.CallAsync(Token));
        }

        // What is counted moves with the seconds, so a slow machine may see fewer.
        Assert.InRange(mesh.Seen.Count, 41, 44);
    }

    [Theory]
    [InlineData("request: 400ms", 1)]
    [InlineData("attempt: 400ms", 3)]
    [InlineData("responseHeaders: 400ms", 3)]
    public async Task TimeoutPolicy_ServerHangs_CallEndsAndServerIsLeft(string spec, int attempts)
    {
        await using var mesh = await PolicyMesh.StartAsync(PolicyMesh.Policy("TimeoutPolicy", spec));
        // The first attempts connect and compile: on a busy machine longer than they may take, so that no server sees them.
        await Eventually.Async(async () => await mesh.CallAsync(Token) == 200, "a connection is there");
        mesh.Seen.Clear();
        var left = 0;
        mesh.Answer = async (_, context) =>
        {
            await UntilLeftAsync(context);
            Interlocked.Increment(ref left);
            return 200;
        };

        Assert.Equal(504, await mesh.CallAsync(Token));

        Assert.Equal(attempts, mesh.Seen.Count);
        await Eventually.Async(() => Volatile.Read(ref left) == attempts, "the server has noticed that its caller left each attempt");
    }

    [Fact]
    public async Task FaultPolicy_Abort_NoServerIsAsked_UntilTheManifestGoes()
    {
        await using var mesh = await PolicyMesh.StartAsync(
            PolicyMesh.Policy("FaultPolicy", "abort: { httpStatus: 418 }, headers: [{ name: x-test, value: chaos }], expiresAt: Never"));

        Assert.Equal(418, await mesh.CallAsync(Token, "/", ("x-test", "chaos")));
        Assert.Empty(mesh.Seen);
        Assert.Equal(200, await mesh.CallAsync(Token));
        Assert.Single(mesh.Seen);

        mesh.Put(string.Empty);
        await Eventually.Async(async () => await mesh.CallAsync(Token, "/", ("x-test", "chaos")) == 200, "the fault is gone");
    }

    [Fact]
    public async Task FaultPolicy_Delay_IsBoundedByTheTimeout()
    {
        await using var mesh = await PolicyMesh.StartAsync(
            PolicyMesh.Policy("FaultPolicy", "delay: { fixed: 1h }, expiresAt: Never") + PolicyMesh.Policy("TimeoutPolicy", "request: 100ms"));

        Assert.Equal(504, await mesh.CallAsync(Token));

        Assert.Empty(mesh.Seen);
    }

    [Fact]
    public async Task FaultPolicy_ExpiresAt_ItEndsWithoutAnyChange()
    {
        await using var mesh = await PolicyMesh.StartAsync(string.Empty);
        Assert.Equal(200, await mesh.CallAsync(Token));
        var end = DateTimeOffset.UtcNow.AddSeconds(4).ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

        mesh.Put(PolicyMesh.Policy("FaultPolicy", $"abort: {{ httpStatus: 418 }}, expiresAt: {end}"));

        await Eventually.Async(async () => await mesh.CallAsync(Token) == 418, "the fault is in force");
        await Eventually.Async(async () => await mesh.CallAsync(Token) == 200, "the fault has ended");
    }

    [Fact]
    public async Task LoadBalancingPolicy_RingHash_KeepsACallerAtOneReplica()
    {
        await using var mesh = await PolicyMesh.StartAsync(
            PolicyMesh.Policy("LoadBalancingPolicy", "algorithm: RingHash, ringHash: { hashOn: [{ header: x-user }] }"), replicas: 3);
        var used = new HashSet<int>();

        for (var user = 0; user < 20; user++)
        {
            mesh.Seen.Clear();
            for (var i = 0; i < 5; i++)
            {
                Assert.Equal(200, await mesh.CallAsync(Token, "/", ("x-user", $"user-{user}")));
            }

            used.Add(Assert.Single(mesh.Seen.Distinct()));
        }

        Assert.True(used.Count > 1, "All users hash to one replica.");
    }

    [Fact]
    public async Task OutlierPolicy_OneReplicaFails_ItSitsOut()
    {
        await using var mesh = await PolicyMesh.StartAsync(
            PolicyMesh.Policy("LoadBalancingPolicy", "algorithm: RoundRobin") + PolicyMesh.Policy("OutlierPolicy", "consecutiveFailures: 3, baseEjectionTime: 5m, maxEjectionTime: 5m"), replicas: 2);
        mesh.Answer = (replica, _) => Task.FromResult(replica == 0 ? 500 : 200);

        var failures = 0;
        for (var i = 0; i < 40; i++)
        {
            failures += await mesh.CallAsync(Token) == 500 ? 1 : 0;
        }

        Assert.Equal(3, failures);
        Assert.Equal(3, mesh.Seen.Count(replica => replica == 0));
        Assert.Equal(37, mesh.Seen.Count(replica => replica == 1));
    }

    [Fact]
    public async Task ConcurrencyPolicy_Client_OneMoreThanAllowed_IsRefusedAtOnce()
    {
        await using var mesh = await PolicyMesh.StartAsync(PolicyMesh.Policy("ConcurrencyPolicy", "client: { maxRequests: 1 }"));
        var door = new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously);
        mesh.Answer = (_, _) => door.Task;
        var first = mesh.CallAsync(Token);
        await Eventually.Async(() => mesh.Seen.Count == 1, "the first is inside");

        Assert.Equal(503, await mesh.CallAsync(Token));

        Assert.Single(mesh.Seen);
        door.SetResult(200);
        Assert.Equal(200, await first);
        Assert.Equal(200, await mesh.CallAsync(Token));
    }

    [Fact]
    public async Task MatchPolicy_Callers_TakesTheRuleForTheseAlone()
    {
        const string route = """
            apiVersion: gateway.networking.k8s.io/v1
            kind: HTTPRoute
            metadata: { name: cart, namespace: shop }
            spec:
              parentRefs: [{ group: "", kind: Service, name: cart }]
              rules:
              - name: preview
                filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x-preview, value: yes }] } }]
                backendRefs: [{ name: cart, port: 80 }]
              - backendRefs: [{ name: cart, port: 80 }]
            ---

            """;
        await using var mesh = await PolicyMesh.StartAsync(route + PolicyMesh.Policy(
            "MatchPolicy", "callers: [{ namespace: shop, serviceAccount: tester }]", "{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: cart, sectionName: preview }"));
        mesh.Answer = (_, context) => Task.FromResult(context.Request.Headers.ContainsKey("x-preview") ? 202 : 200);
        var tester = await mesh.JoinAsync("tester");
        using var client = tester.Services.GetRequiredService<IHttpClientFactory>().CreateClient();

        using var preview = await client.GetAsync(new Uri("http://cart/"), Token);

        Assert.Equal(202, (int)preview.StatusCode);
        Assert.Equal(200, await mesh.CallAsync(Token));
    }

    [Fact]
    public async Task Edit_OfTheYaml_ReachesLiveClients_AndABrokenOneChangesNothing()
    {
        await using var mesh = await PolicyMesh.StartAsync(PolicyMesh.Policy("RetryPolicy", "attempts: 0"));
        mesh.Answer = (_, _) => Task.FromResult(503);
        Assert.Equal(1, await AttemptsAsync(mesh));

        mesh.Put(PolicyMesh.Policy("RetryPolicy", "attempts: 3, backoff: { base: 1ms }"));
        await Eventually.Async(async () => await AttemptsAsync(mesh) == 4, "the edit is in force");

        // The fault shows that the folder was read again: the broken policy beside it keeps its last good version.
        mesh.Put(PolicyMesh.Policy("RetryPolicy", "attempts: many") + PolicyMesh.Policy("FaultPolicy", "abort: { httpStatus: 418 }, headers: [{ name: x-test, value: chaos }], expiresAt: Never"));
        await Eventually.Async(async () => await mesh.CallAsync(Token, "/", ("x-test", "chaos")) == 418, "the fault beside it is in force");
        Assert.Equal(4, await AttemptsAsync(mesh));
    }

    private static async Task<int> AttemptsAsync(PolicyMesh mesh)
    {
        mesh.Seen.Clear();
        Assert.Equal(503, await mesh.CallAsync(Token));
        return mesh.Seen.Count;
    }

    private static async Task UntilLeftAsync(HttpContext context)
    {
        var left = new TaskCompletionSource();
        await using var registration = context.RequestAborted.Register(left.SetResult);
        await left.Task;
    }
}
