using System.Text;
using System.Text.Json.Nodes;
using Mesh.ControlPlane.Install;
using Mesh.Testing;
using Mesh.Testing.Kubernetes;

namespace Mesh.Cli.Tests;

/// <summary>Install, check, upgrade, prune, uninstall against an API server over HTTP.</summary>
public sealed class ClusterTests
{
    private const string ShopPod = """
        apiVersion: v1
        kind: Namespace
        metadata: {name: shop, annotations: {meshlib.io/inject: enabled}}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: cart-1, namespace: shop, annotations: {meshlib.io/opaque-port: "3306"}}
        spec:
          initContainers: [{name: mesh-proxy, image: "mesh-proxy:0.1.0", restartPolicy: Always}]
          containers: [{name: cart, image: "cart:1"}]
        status: {phase: Running, initContainerStatuses: [{name: mesh-proxy, ready: true, image: x, imageID: x, restartCount: 0}]}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: old-1, namespace: shop}
        spec: {containers: [{name: old, image: "old:1"}]}
        status: {phase: Running}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: db, namespace: shop, annotations: {meshlib.io/opaque-ports: "5432,9999"}}
        spec: {ports: [{port: 5432}]}
        """;

    [Theory]
    [InlineData]
    [InlineData("--ha")]
    public async Task Install_TwiceApplied_ChangesNothing(params string[] args)
    {
        await using var cluster = await InstalledCluster.StartAsync();
        await cluster.InstallAsync(args);
        var version = cluster.Server.ResourceVersion;

        await cluster.InstallAsync(args);

        Assert.Equal(version, cluster.Server.ResourceVersion);
    }

    /// <summary>What the leader wrote is another manager's field: applying the manifests again leaves it.</summary>
    [Fact]
    public async Task Install_AppliedAgain_LeavesCaBundleAlone()
    {
        await using var cluster = await InstalledCluster.StartAsync();
        await cluster.InstallAsync();
        using var ca = new TestCa("cluster.local");
        var bundle = Convert.ToBase64String(Encoding.UTF8.GetBytes(ca.RootPem));
        using var leader = Mesh.ControlPlane.Sources.Kubernetes.KubeApi.At(cluster.Server.Address, cluster.Server.Token, null, TimeProvider.System);
        await leader.PatchAsync("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/mesh-injector",
            new JsonArray(new JsonObject { ["op"] = "add", ["path"] = "/webhooks/0/clientConfig/caBundle", ["value"] = bundle }), Mesh.ControlPlane.Sources.Kubernetes.KubePatch.Json, "mesh-control-plane", TestContext.Current.CancellationToken);

        await cluster.InstallAsync("--set", "webhooks.timeoutSeconds=7");

        var webhook = cluster.Server.Get("mutatingwebhookconfigurations.admissionregistration.k8s.io", "", "mesh-injector")["webhooks"]![0]!;
        Assert.Equal(bundle, webhook["clientConfig"]!["caBundle"]!.ToString());
        Assert.Equal("7", webhook["timeoutSeconds"]!.ToJsonString());
    }

    /// <summary>A client that we did not write, as old as Debian has it, without --server-side.</summary>
    [Fact]
    public async Task Kubectl_AppliesTwiceAndDeletes()
    {
        Assert.SkipWhen(!Environment.GetEnvironmentVariable("PATH")!.Split(':').Any(folder => File.Exists(Path.Combine(folder, "kubectl"))), "kubectl is not installed (Debian: kubernetes-client)");
        await using var cluster = await InstalledCluster.StartAsync(new FakeKubeApiOptions { Https = true });
        var manifests = (await cluster.RunAsync("install", "--ha")).Out;
        var count = YamlJson.Parse(manifests).Count;

        Assert.Equal(count, (await cluster.KubectlAsync("apply", manifests)).Count(line => line.EndsWith(" created", StringComparison.Ordinal)));
        // kubectl sends the selector of a disruption budget whole each time (its patch strategy is "replace"), and calls that configured.
        Assert.DoesNotContain(
            await cluster.KubectlAsync("apply", manifests), line => !line.EndsWith(" unchanged", StringComparison.Ordinal) && !line.StartsWith("poddisruptionbudget.policy/", StringComparison.Ordinal));
        Assert.NotEmpty(await cluster.KubectlAsync("delete --wait=false", (await cluster.RunAsync("uninstall")).Out));
        Assert.Contains("nothing of the mesh", (await cluster.RunAsync("uninstall")).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Uninstall_LeavesNothing()
    {
        await using var cluster = await InstalledCluster.StartAsync();
        var before = Objects(cluster.Server);
        await cluster.InstallAsync();
        using var ca = new TestCa("cluster.local");
        cluster.RunsWell(ca);
        Assert.NotEqual(before, Objects(cluster.Server));

        var run = await cluster.RunAsync("uninstall");
        await cluster.DeleteAsync(run.Out);

        Assert.Equal(0, run.ExitCode);
        Assert.Equal(before, Objects(cluster.Server));
        Assert.Contains("nothing of the mesh", (await cluster.RunAsync("uninstall")).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Uninstall_WhilePodsHaveSidecars_IsRefusedUnlessForced()
    {
        await using var cluster = await InstalledCluster.StartAsync();
        await cluster.InstallAsync();
        cluster.Server.Apply(ShopPod);

        var refused = await cluster.RunAsync("uninstall");

        Assert.Equal((1, ""), (refused.ExitCode, refused.Out));
        Assert.Contains("shop/cart-1", refused.Error, StringComparison.Ordinal);
        Assert.Equal(0, (await cluster.RunAsync("uninstall", "--force")).ExitCode);
    }

    [Fact]
    public async Task Upgrade_KeepsWhatWasGivenAndAdds()
    {
        await using var cluster = await InstalledCluster.StartAsync();
        await cluster.InstallAsync("--ha", "--registry", "r.example");

        var run = await cluster.RunAsync("upgrade", "--skip-crds", "--set", "controlPlane.replicas=5");

        Assert.Equal(0, run.ExitCode);
        var deployment = YamlJson.Parse(run.Out).Single(o => o["kind"]!.ToString() == "Deployment")["spec"]!;
        Assert.Equal("5", deployment["replicas"]!.ToJsonString());
        Assert.StartsWith("r.example/", deployment["template"]!["spec"]!["containers"]![0]!["image"]!.ToString(), StringComparison.Ordinal);
        var reset = YamlJson.Parse((await cluster.RunAsync("upgrade", "--reset-values")).Out).Single(o => o["kind"]!.ToString() == "Deployment")["spec"]!;
        Assert.Equal("1", reset["replicas"]!.ToJsonString());
    }

    [Theory]
    [InlineData("0.1.0", "0.0.9", false)]
    [InlineData("0.1.0", "0.2.0", true)]
    [InlineData("0.1.0", "0.1.9", true)]
    [InlineData("0.1.0", "0.3.0", false)]
    [InlineData("1.9.0", "2.0.0", false)]
    public async Task Upgrade_Versions_OneMinorAtATime(string from, string to, bool allowed)
    {
        await using var cluster = await InstalledCluster.StartAsync();
        await cluster.InstallAsync("--version", from);

        var run = await cluster.RunAsync("upgrade", "--version", to);

        Assert.Equal(allowed ? 0 : 1, run.ExitCode);
        Assert.Equal(0, (await cluster.RunAsync("upgrade", "--version", to, "--force")).ExitCode);
    }

    [Fact]
    public async Task Prune_NamesWhatIsNoLongerWanted()
    {
        await using var cluster = await InstalledCluster.StartAsync();
        await cluster.InstallAsync();
        Assert.Contains("Nothing is left over", (await cluster.RunAsync("prune")).Error, StringComparison.Ordinal);
        await cluster.InstallAsync("--set", "networkPolicy.enabled=false");

        var run = await cluster.RunAsync("prune");

        var only = Assert.Single(YamlJson.Parse(run.Out));
        Assert.Equal("NetworkPolicy mesh-system/mesh-control-plane", $"{only["kind"]} {only["metadata"]!["namespace"]}/{only["metadata"]!["name"]}");
    }

    [Fact]
    public async Task NoMesh_UpgradeAndPruneAndStatus_SaySo()
    {
        await using var cluster = await InstalledCluster.StartAsync();

        Assert.Equal(1, (await cluster.RunAsync("upgrade")).ExitCode);
        Assert.Equal(1, (await cluster.RunAsync("prune")).ExitCode);
        var status = await cluster.RunAsync("status");
        Assert.Equal((1, ""), (status.ExitCode, status.Out));
        Assert.Contains("mesh install", status.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CheckPre_EmptyCluster_IsGoodButForGatewayApi()
    {
        await using var cluster = await InstalledCluster.StartAsync();

        var run = await cluster.RunAsync("check", "--pre");

        Assert.Equal(0, run.ExitCode);
        GoldenFile.Check("check-pre.txt", run.Out);
    }

    [Fact]
    public async Task CheckPre_MeshIsThere_Exits2()
    {
        await using var cluster = await InstalledCluster.StartAsync();
        await cluster.InstallAsync();

        var run = await cluster.RunAsync("check", "--pre", "-o", "short");

        Assert.Equal(2, run.ExitCode);
        Assert.Contains("MESH-CHK-010", run.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Check_NoMesh_StopsAtTheFirst()
    {
        await using var cluster = await InstalledCluster.StartAsync();

        var run = await cluster.RunAsync("check", "-o", "short");

        Assert.Equal(2, run.ExitCode);
        Assert.Contains("MESH-CHK-020", Assert.Single(run.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Check_OldKubernetes_Exits2()
    {
        await using var cluster = await InstalledCluster.StartAsync(new FakeKubeApiOptions { GitVersion = "v1.28.4" });

        Assert.Contains("MESH-CHK-002", (await cluster.RunAsync("check", "--pre", "-o", "short")).Out, StringComparison.Ordinal);
    }

    /// <summary>Installed, and nothing runs: every check has something to say.</summary>
    [Theory]
    [InlineData("table", "check-not-running.txt")]
    [InlineData("short", "check-not-running.short.txt")]
    [InlineData("json", "check-not-running.json")]
    public async Task Check_NothingRuns_SaysWhatAndHow(string format, string golden)
    {
        await using var cluster = await InstalledCluster.StartAsync();
        await cluster.InstallAsync();

        var run = await cluster.RunAsync("check", "-o", format);

        Assert.Equal(2, run.ExitCode);
        GoldenFile.Check(golden, run.Out);
    }

    [Theory]
    [InlineData]
    [InlineData("--set", "controlPlane.replicas=2")]
    public async Task Check_RunsWell_OnlyTheApiIsMissed(params string[] args)
    {
        await using var cluster = await InstalledCluster.StartAsync();
        await cluster.InstallAsync(args);
        using var ca = new TestCa("cluster.local");
        cluster.RunsWell(ca);

        var run = await cluster.RunAsync("check", "-o", "json");

        // The fake has no proxy to Services; replicas without Pods are on no node.
        string[] expected = args.Length == 0 ? ["MESH-CHK-041"] : ["MESH-CHK-060", "MESH-CHK-041"];
        Assert.Equal(expected, Wrong(run));
    }

    [Fact]
    public async Task Check_WhatWasChangedByHand_IsFound()
    {
        await using var cluster = await InstalledCluster.StartAsync();
        await cluster.InstallAsync();
        using var ca = new TestCa("cluster.local");
        cluster.RunsWell(ca);
        cluster.Server.Delete("customresourcedefinitions.apiextensions.k8s.io", "", "faultpolicies.policy.meshlib.io");
        cluster.Server.Delete("services", "mesh-system", "mesh-control-plane");
        cluster.Server.Delete("rolebindings.rbac.authorization.k8s.io", "mesh-system", "mesh-control-plane");
        cluster.Server.Delete("configmaps", "default", "mesh-trust-bundle");
        cluster.Server.Change("leases.coordination.k8s.io", "mesh-system", "mesh-control-plane", l => l["spec"]!["renewTime"] = "2020-01-01T00:00:00.000000Z");
        cluster.Server.Change("validatingwebhookconfigurations.admissionregistration.k8s.io", "", "mesh-validator", w => w["webhooks"]![0]!["failurePolicy"] = "Fail");
        cluster.Server.Apply(new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "Secret", ["metadata"] = new JsonObject { ["name"] = "mesh-issuer", ["namespace"] = "mesh-system" },
            ["data"] = new JsonObject { ["tls.crt"] = Convert.ToBase64String(Encoding.UTF8.GetBytes("none")) },
        });

        var run = await cluster.RunAsync("check", "-o", "json");

        Assert.Equal(["MESH-CHK-022", "MESH-CHK-023", "MESH-CHK-024", "MESH-CHK-032", "MESH-CHK-051", "MESH-CHK-052", "MESH-CHK-040", "MESH-CHK-041"], Wrong(run));
    }

    [Fact]
    public async Task CheckProxy_Namespace_SaysWhatIsOdd()
    {
        await using var cluster = await InstalledCluster.StartAsync();
        await cluster.InstallAsync();
        cluster.Server.Apply(ShopPod);
        cluster.Server.Change("namespaces", "", "shop", n => n["metadata"]!["labels"] = new JsonObject { ["pod-security.kubernetes.io/enforce"] = "baseline" });

        var run = await cluster.RunAsync("check", "--proxy", "-n", "shop");

        Assert.Equal(0, run.ExitCode);
        GoldenFile.Check("check-proxy.txt", run.Out);
        Assert.Equal(2, (await cluster.RunAsync("check", "--proxy", "-n", "nowhere")).ExitCode);
    }

    [Fact]
    public async Task CheckProxy_SidecarNotReadyOrOld_IsFound()
    {
        await using var cluster = await InstalledCluster.StartAsync();
        await cluster.InstallAsync("--version", "0.4.0");
        cluster.Server.Apply(ShopPod.Replace("ready: true", "ready: false", StringComparison.Ordinal));

        var wrong = Wrong(await cluster.RunAsync("check", "--proxy", "-o", "json"));

        Assert.Contains("MESH-CHK-071", wrong);
        Assert.Contains("MESH-CHK-072", wrong);
    }

    [Fact]
    public async Task Status_ShowsControlPlaneAndNamespaces()
    {
        await using var cluster = await InstalledCluster.StartAsync();
        await cluster.InstallAsync("--ha");
        using var ca = new TestCa("cluster.local");
        cluster.RunsWell(ca);
        cluster.Server.Apply(ShopPod);

        var run = await cluster.RunAsync("status");

        Assert.Equal(0, run.ExitCode);
        GoldenFile.Check("status.txt", run.Out);
        Assert.Equal(1, JsonNode.Parse((await cluster.RunAsync("status", "-o", "json")).Out)!["namespaces"]![0]!["sidecars"]!.GetValue<int>());
    }

    [Fact]
    public async Task Cluster_NotReachable_Exits69()
    {
        var cluster = await InstalledCluster.StartAsync();
        await cluster.Server.DisposeAsync();

        Assert.Equal(69, (await cluster.RunAsync("status")).ExitCode);
        Assert.Equal(2, (await cluster.RunAsync("check", "-o", "short")).ExitCode);
        await cluster.DisposeAsync();
    }

    [Theory]
    [InlineData("check", "--pre", "--proxy")]
    [InlineData("check", "-n", "shop")]
    [InlineData("install", "--crds", "--skip-crds")]
    [InlineData("completion", "csh")]
    public async Task Usage_Wrong_Exits64(params string[] args) => Assert.Equal(64, (await CliRun.RunAsync([], args)).ExitCode);

    [Fact]
    public async Task NoKubeconfig_Exits64_AndBadOne65()
    {
        Assert.Equal(64, (await CliRun.RunAsync([], ["status"])).ExitCode);
        Assert.Equal(65, (await CliRun.RunAsync([], ["status", "--kubeconfig", "/nowhere/config"])).ExitCode);
    }

    private static string[] Wrong(CliRun run) =>
    [
        .. JsonNode.Parse(run.Out)!["categories"]!.AsArray().SelectMany(c => c!["checks"]!.AsArray()).Where(c => c!["result"]!.ToString() != "success").Select(c => c!["id"]!.ToString()),
    ];

    private static List<string> Objects(FakeKubeApi server) =>
    [
        .. new[]
        {
            "namespaces", "serviceaccounts", "services", "configmaps", "secrets", "deployments.apps", "poddisruptionbudgets.policy", "networkpolicies.networking.k8s.io", "leases.coordination.k8s.io",
            "clusterroles.rbac.authorization.k8s.io", "clusterrolebindings.rbac.authorization.k8s.io", "roles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io",
            "mutatingwebhookconfigurations.admissionregistration.k8s.io", "validatingwebhookconfigurations.admissionregistration.k8s.io", "customresourcedefinitions.apiextensions.k8s.io",
        }.SelectMany(r => server.List(r).Select(o => $"{r} {o["metadata"]!["namespace"]}/{o["metadata"]!["name"]}")),
    ];
}
