using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using k8s.Models;
using Mesh.ControlPlane.Install;

namespace Mesh.Cli.Tests;

public sealed class InstallTests
{
    /// <summary>Of everything that is installed, and of no member beside what Kubernetes has.</summary>
    private static readonly Dictionary<string, Type> Models = new()
    {
        ["v1 Namespace"] = typeof(V1Namespace),
        ["v1 ServiceAccount"] = typeof(V1ServiceAccount),
        ["v1 ConfigMap"] = typeof(V1ConfigMap),
        ["v1 Service"] = typeof(V1Service),
        ["apps/v1 Deployment"] = typeof(V1Deployment),
        ["policy/v1 PodDisruptionBudget"] = typeof(V1PodDisruptionBudget),
        ["networking.k8s.io/v1 NetworkPolicy"] = typeof(V1NetworkPolicy),
        ["rbac.authorization.k8s.io/v1 ClusterRole"] = typeof(V1ClusterRole),
        ["rbac.authorization.k8s.io/v1 ClusterRoleBinding"] = typeof(V1ClusterRoleBinding),
        ["rbac.authorization.k8s.io/v1 Role"] = typeof(V1Role),
        ["rbac.authorization.k8s.io/v1 RoleBinding"] = typeof(V1RoleBinding),
        ["admissionregistration.k8s.io/v1 MutatingWebhookConfiguration"] = typeof(V1MutatingWebhookConfiguration),
        ["admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration"] = typeof(V1ValidatingWebhookConfiguration),
        ["apiextensions.k8s.io/v1 CustomResourceDefinition"] = typeof(V1CustomResourceDefinition),
    };

    public static TheoryData<string, string[]> Profiles => new()
    {
        { "install.yaml", [] },
        { "install-ha.yaml", ["--ha"] },
        {
            "install-set.yaml",
            [
                "--registry", "registry.example.com/mesh", "--version", "0.1.2", "--set", "controlPlane.replicas=2", "--set", "imagePullSecrets=pull,other", "--set", "clusterNetworks=10.0.0.0/8,fd00::/8",
                "--set", "controlPlane.nodeSelector.disk=ssd", "--set", "controlPlane.cpuLimit=2", "--set", "controlPlane.memoryLimit=", "--set", "controlPlane.priorityClassName=system-cluster-critical",
                "--set", "controlPlane.podAnnotations.team=mesh", "--set", "identity.issuerSecret=issuer", "--set", "injector.excludedNamespaces=legacy", "--set", "policy.mtls=strict",
                "--set", "policy.access=all-authenticated", "--set", "proxy.logLevel=debug", "--set", "proxy.uid=2200", "--set", "networkPolicy.enabled=false", "--set", "webhooks.timeoutSeconds=5",
            ]
        },
    };

    [Theory]
    [MemberData(nameof(Profiles))]
    public async Task Install_Profile_IsAsReviewed(string golden, string[] args)
    {
        var run = await CliRun.RunAsync([], ["install", "--skip-crds", .. args]);

        Assert.Equal(0, run.ExitCode);
        GoldenFile.Check(golden, run.Out);
        Assert.Equal(run.Out, (await CliRun.RunAsync([], ["install", "--skip-crds", .. args])).Out);
    }

    [Theory]
    [MemberData(nameof(Profiles))]
    public async Task Install_Objects_AreOfKubernetesModels(string golden, string[] args)
    {
        Assert.NotEmpty(golden);
        var strict = new JsonSerializerOptions { UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow };

        foreach (var item in await ObjectsAsync(args))
        {
            var model = JsonSerializer.Deserialize(item.ToJsonString(), Models[$"{item["apiVersion"]} {item["kind"]}"], strict)!;
            Assert.Equal(item["metadata"]!["name"]!.ToString(), ((k8s.IKubernetesObject<V1ObjectMeta>)model).Metadata.Name);
        }
    }

    [Fact]
    public async Task Install_Crds_AreTheFilesWithLabels()
    {
        var run = await CliRun.RunAsync([], ["install", "--crds"]);
        var printed = YamlJson.Parse(run.Out);

        Assert.Equal(DeployFiles.CrdNames.Length, printed.Count);
        foreach (var (file, crd) in DeployFiles.Crds.Zip(printed))
        {
            Assert.Equal("mesh-install", crd["metadata"]!["labels"]!["app.kubernetes.io/managed-by"]!.ToString());
            Assert.True(JsonNode.DeepEquals(file["spec"], crd["spec"]), file["metadata"]!["name"]!.ToString());
        }
    }

    [Fact]
    public async Task Install_WholeIsInTheOrderOfUse()
    {
        string[] kinds = [.. (await ObjectsAsync([])).Select(o => o["kind"]!.ToString()).Distinct()];

        Assert.Equal("CustomResourceDefinition", kinds[0]);
        Assert.Equal("Namespace", kinds[1]);
        Assert.Equal(["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"], kinds[^2..]);
    }

    [Fact]
    public async Task Install_Webhooks_NeverReachWhereTheClusterHangsOnItself()
    {
        var injector = (await ObjectsAsync([])).Single(o => o["kind"]!.ToString() == "MutatingWebhookConfiguration");
        var excluded = injector["webhooks"]![0]!["namespaceSelector"]!["matchExpressions"]![0]!;

        Assert.Equal("NotIn", excluded["operator"]!.ToString());
        Assert.Superset(new HashSet<string> { "kube-system", "mesh-system" }, excluded["values"]!.AsArray().Select(v => v!.ToString()).ToHashSet());
        Assert.Null(injector["webhooks"]![0]!["clientConfig"]!["caBundle"]);
    }

    [Theory]
    [InlineData("controlPlane.replica=3", "controlPlane.replicas")]
    [InlineData("controlplane.replicas=3", "controlPlane.replicas")]
    [InlineData("controlPlane.replicas=three", "without quotes")]
    [InlineData("controlPlane.replicas=0", "1–99")]
    [InlineData("webhooks.failurePolicy=fail", "Fail")]
    [InlineData("ha=yes", "true or false")]
    [InlineData("identity.leafLife=5s", "10s–90d")]
    [InlineData("clusterNetworks=10.0.0.1/8", "10.0.0.0/8")]
    [InlineData("controlPlane.tolerations=x", "file")]
    [InlineData("registry=https://example.com", "without scheme")]
    [InlineData("ha", "KEY=VALUE")]
    public async Task Set_Wrong_Exits64AndSaysWhatIsRight(string assignment, string hint)
    {
        var run = await CliRun.RunAsync([], ["install", "--set", assignment]);

        Assert.Equal((64, ""), (run.ExitCode, run.Out));
        Assert.Contains(hint, run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("controlPlane: {replicas: \"3\"}", "controlPlane.replicas")]
    [InlineData("controlPlan: {replicas: 3}", "'controlPlan'")]
    [InlineData("ha: maybe\nregistry: [a]", "registry is a list")]
    [InlineData("a: [", "no YAML")]
    [InlineData("- a", "mapping")]
    public async Task Values_Wrong_Exits65AndSaysAll(string text, string hint)
    {
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, text, TestContext.Current.CancellationToken);
            var run = await CliRun.RunAsync([], ["install", "-f", file]);

            Assert.Equal((65, ""), (run.ExitCode, run.Out));
            Assert.Contains(hint, run.Error, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task Values_AndSet_TheLaterCounts()
    {
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, "ha: true\ncontrolPlane:\n  replicas: 5\n  tolerations:\n  - {key: a, operator: Exists}\n", TestContext.Current.CancellationToken);
            var run = await CliRun.RunAsync([], ["install", "-f", file, "--set", "controlPlane.replicas=4"]);

            var deployment = YamlJson.Parse(run.Out).Single(o => o["kind"]!.ToString() == "Deployment");
            Assert.Equal("4", deployment["spec"]!["replicas"]!.ToJsonString());
            Assert.Equal("a", deployment["spec"]!["template"]!["spec"]!["tolerations"]![0]!["key"]!.ToString());
            Assert.NotNull(deployment["spec"]!["template"]!["spec"]!["affinity"]!["podAntiAffinity"]!["requiredDuringSchedulingIgnoredDuringExecution"]);
            var stored = YamlJson.Parse(run.Out).Single(o => o["kind"]!.ToString() == "ConfigMap")["data"]!["values.yaml"]!.ToString();
            Assert.Equal($"version: '{InstallCatalogue.OwnVersion}'\nha: true\ncontrolPlane:\n  replicas: 4\n  tolerations:\n  - key: a\n    operator: Exists\n", stored);
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <summary>The injector reads the same values: it knows each, and takes what the catalogue takes.</summary>
    [Fact]
    public async Task Proxy_Values_AreTheInjectors()
    {
        Assert.Equal(
            Mesh.ControlPlane.Injector.SidecarSetting.All.Select(s => $"proxy.{s.ValueName}").Order(StringComparer.Ordinal),
            ProxyValues.All.Select(v => v.Path).Order(StringComparer.Ordinal));
        var run = await CliRun.RunAsync([], ["install", "--skip-crds", "--registry", "r.example", "--version", "1.2.3", "--set", "proxy.uid=2200", "--set", "proxy.nativeSidecar=disabled", "--set", "injector.excludedNamespaces=a,b"]);
        var problems = new List<string>();
        var values = Mesh.ControlPlane.Injector.InjectionValues.Read(
            YamlJson.Parse(YamlJson.Parse(run.Out).Single(o => o["kind"]!.ToString() == "ConfigMap")["data"]!["values.yaml"]!.ToString()).Single(), problems);

        Assert.Empty(problems);
        Assert.Equal("r.example/mesh-proxy:1.2.3", values.Image);
        Assert.Equal(2200, values.Sidecar.Uid);
        Assert.Equal(Mesh.ControlPlane.Injector.SidecarOrder.Classic, values.Sidecar.Order);
        Assert.Equal(["a", "b"], values.ExcludedNamespaces);
    }

    /// <summary>The program takes what the Deployment gives it.</summary>
    [Theory]
    [MemberData(nameof(Profiles))]
    public async Task Deployment_Arguments_AreTheControlPlanes(string golden, string[] args)
    {
        Assert.NotEmpty(golden);
        var deployment = (await ObjectsAsync(args)).Single(o => o["kind"]!.ToString() == "Deployment");
        string[] arguments = [.. deployment["spec"]!["template"]!["spec"]!["containers"]![0]!["args"]!.AsArray().Select(a => a!.ToString())];

        var options = Mesh.ControlPlane.Hosting.CommandLine.Parse(arguments, out var problems);

        Assert.Empty(problems);
        Assert.True(options!.Kubernetes);
    }

    [Fact]
    public async Task ListValues_NamesEachOnce()
    {
        var run = await CliRun.RunAsync([], ["install", "--list-values"]);

        Assert.All(InstallCatalogue.All, v => Assert.Single(run.Out.Split('\n'), line => line.StartsWith(v.Path + " ", StringComparison.Ordinal)));
    }

    private static async Task<IReadOnlyList<JsonObject>> ObjectsAsync(string[] args)
    {
        var run = await CliRun.RunAsync([], ["install", .. args]);
        Assert.Equal(0, run.ExitCode);
        return YamlJson.Parse(run.Out);
    }
}
