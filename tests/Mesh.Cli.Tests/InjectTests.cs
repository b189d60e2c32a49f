using Mesh.ControlPlane.Install;

namespace Mesh.Cli.Tests;

/// <summary><c>mesh inject</c> and <c>mesh uninject</c>: text in, text out.</summary>
public class InjectTests
{
    private const string Deployment = """
        # The shop's front.
        apiVersion: apps/v1
        kind: Deployment
        metadata:
          name: web   # as people know it
          namespace: shop
        spec:
          replicas: 2
          template:
            metadata:
              labels: {app: web}   # kept
            spec:
              # Files of mode 0640.
              volumes:
              - name: config
                configMap: {name: web, defaultMode: 0640}
              containers:
              - name: web
                image: shop/web:1
                ports:
                - containerPort: 8080
        """;

    [Fact]
    public async Task Inject_Deployment_IsAnnotatedAndElseTheSame()
    {
        var run = await RunAsync("inject", Deployment + "\n");

        Assert.Equal(0, run.ExitCode);
        Assert.Equal(Deployment.Replace("      labels: {app: web}", "      annotations:\n        meshlib.io/inject: enabled\n      labels: {app: web}", StringComparison.Ordinal) + "\n", run.Out);
        Assert.Equal("deployment/web annotated\n", run.Error);
    }

    [Fact]
    public async Task Uninject_OfInject_GivesTheSameText()
    {
        foreach (var text in new[] { Deployment + "\n", Pods, List, "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\nspec:\n  template:\n    spec:\n      containers: [{name: a, image: a}]\n" })
        {
            var injected = await RunAsync("inject", text, "--set", "skip-outbound-ports=5432,6379", "--set", "egress=deny");
            Assert.NotEqual(text, injected.Out);
            Assert.Equal(text, (await RunAsync("uninject", injected.Out)).Out);
        }
    }

    [Theory]
    [InlineData("{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, image: a}]}}")]
    [InlineData("{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"a\", \"annotations\": {}}, \"spec\": {\"containers\": [{\"name\": \"a\", \"image\": \"a\"}]}}")]
    [InlineData("apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  annotations:\nspec:\n  containers: [{name: a, image: a}]\n")]
    [InlineData("apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  annotations: null\nspec:\n  containers: [{name: a, image: a}]\n")]
    [InlineData("apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  annotations:\n    other: \"1\"\nspec:\n  containers: [{name: a, image: a}]\n")]
    [InlineData("apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  annotations:\n    'meshlib.io/inject': \"enabeld\"  # why\nspec:\n  containers: [{name: a, image: a}]\n")]
    [InlineData("apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  annotations:\n    meshlib.io/inject: |\n      enabeld\n    other: x\nspec:\n  containers: [{name: a, image: a}]\n")]
    [InlineData("apiVersion: v1\r\nkind: Pod\r\nmetadata:\r\n  name: a\r\nspec:\r\n  containers:\r\n  - name: a\r\n    image: a\r\n")]
    [InlineData("apiVersion: v1\nkind: Pod\nmetadata:\n  name: \"é😀\"\nspec:\n  containers: [{name: a, image: a}]\n")]
    public async Task Inject_PodOfAnyForm_HasTheAnnotationsAndElseTheSame(string text)
    {
        var run = await RunAsync("inject", text, "--set", "proxy-log-level=debug");

        var (before, after) = (Assert.Single(YamlJson.Parse(text)), Assert.Single(YamlJson.Parse(run.Out)));
        var annotations = after["metadata"]!["annotations"]!.AsObject();
        Assert.Equal("enabled", annotations["meshlib.io/inject"]!.GetValue<string>());
        Assert.Equal("debug", annotations["meshlib.io/proxy-log-level"]!.GetValue<string>());
        foreach (var name in new[] { "meshlib.io/inject", "meshlib.io/proxy-log-level" })
        {
            annotations.Remove(name);
            (before["metadata"]!["annotations"] as System.Text.Json.Nodes.JsonObject)?.Remove(name);
        }

        if (annotations.Count == 0)
        {
            after["metadata"]!.AsObject().Remove("annotations");
        }

        if (before["metadata"]!["annotations"] is not System.Text.Json.Nodes.JsonObject { Count: > 0 })
        {
            before["metadata"]!.AsObject().Remove("annotations");
        }

        Assert.Equal(before.ToJsonString(), after.ToJsonString());
    }

    [Fact]
    public async Task Inject_WhatIsNoWorkload_PassesUntouched()
    {
        const string Others = "# first\n---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\n---\n- a list\n---\napiVersion: example.io/v1\nkind: Deployment\nmetadata: {name: other}\nspec: {template: {spec: {}}}\n---\n";

        var run = await RunAsync("inject", Others);

        Assert.Equal(0, run.ExitCode);
        Assert.Equal(Others, run.Out);
        Assert.Equal("service/web skipped: no workload\ndeployment/other skipped: no workload\n", run.Error);
    }

    [Fact]
    public async Task Inject_WhatCantBe_PassesAndIsToldWhy()
    {
        const string Host = "apiVersion: apps/v1\nkind: DaemonSet\nmetadata:\n  name: agent\nspec:\n  template:\n    spec:\n      hostNetwork: true\n      containers: [{name: a, image: a}]\n";

        var run = await RunAsync("inject", Host);

        Assert.Equal(Host, run.Out);
        Assert.StartsWith("daemonset/agent skipped: host_network_enabled: The pod has hostNetwork", run.Error, StringComparison.Ordinal);
        Assert.Contains("annotated", (await RunAsync("inject", Host, "--library")).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Inject_WhatItsOwnerDecided_Stays()
    {
        var disabled = Deployment.Replace("      labels:", "      annotations: {meshlib.io/inject: disabled}\n      labels:", StringComparison.Ordinal) + "\n";
        var run = await RunAsync("inject", disabled);
        Assert.Equal(disabled, run.Out);
        Assert.StartsWith("deployment/web skipped: injection_disable_annotation_present", run.Error, StringComparison.Ordinal);

        var library = disabled.Replace("inject: disabled", "inject: library", StringComparison.Ordinal);
        Assert.Equal(library, (await RunAsync("inject", library)).Out);
        Assert.DoesNotContain("mesh-proxy", (await RunAsync("inject", library, "--manual")).Out, StringComparison.Ordinal);
        Assert.Contains("Mesh__ControlPlane", (await RunAsync("inject", disabled, "--manual", "--library")).Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task InjectManual_EveryKind_HasTheSidecarWhereItsPodIs()
    {
        var run = await RunAsync("inject", Deployment + "\n---\n" + Pods + "---\n" + List, "--manual");

        Assert.Equal(0, run.ExitCode);
        var documents = YamlJson.Parse(run.Out);
        Assert.Equal(["Deployment", "Service", "Pod", "CronJob", "List"], documents.Select(d => d["kind"]!.GetValue<string>()));
        Assert.Contains("kind: Service\nmetadata: {name: one}   # not a workload\n", run.Out, StringComparison.Ordinal);
        var specs = new[]
        {
            documents[0]["spec"]!["template"]!["spec"], documents[2]["spec"], documents[3]["spec"]!["jobTemplate"]!["spec"]!["template"]!["spec"], documents[4]["items"]![1]!["spec"]!["template"]!["spec"],
        };
        Assert.All(specs, spec => Assert.Equal(["mesh-init", "mesh-proxy"], spec!["initContainers"]!.AsArray().Select(c => c!["name"]!.GetValue<string>())));
        var workloads = specs.Select(s => s!["initContainers"]![1]!["env"]!.AsArray().Single(e => e!["name"]!.GetValue<string>() == "MESH_WORKLOAD")!["value"]!.GetValue<string>());
        Assert.Equal(["web", "one", "nightly", "db"], workloads);
        // YAML 1.1's octal is what Kubernetes reads.
        Assert.Equal(416, documents[0]["spec"]!["template"]!["spec"]!["volumes"]![0]!["configMap"]!["defaultMode"]!.GetValue<long>());
    }

    [Fact]
    public async Task UninjectManual_GivesTheSameObjects()
    {
        var text = Deployment + "\n---\n" + Pods + "---\n" + List;
        foreach (var option in new[] { "--manual", "--library" })
        {
            var injected = await RunAsync("inject", text, "--manual", option);
            var run = await RunAsync("uninject", injected.Out);
            Assert.Equal(YamlJson.Parse(text).Select(d => d.ToJsonString()), YamlJson.Parse(run.Out).Select(d => d.ToJsonString()));
            Assert.Contains("deployment/web uninjected\n", run.Error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task InjectManual_Twice_IsTheSame()
    {
        var once = await RunAsync("inject", Deployment + "\n", "--manual");
        var twice = await RunAsync("inject", once.Out, "--manual");

        Assert.Equal(once.Out, twice.Out);
        Assert.Equal("deployment/web skipped: already_injected: The pod has a container mesh-proxy already.\n", twice.Error);
    }

    [Fact]
    public async Task InjectManual_GoesByTheNamespaceInTheStreamAndTheValues()
    {
        using var values = new TemporaryFile("version: 9.9.9\nregistry: registry.example/mesh\nproxy:\n  accessLog: json\n");
        var run = await RunAsync("inject", "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n  annotations: {meshlib.io/egress: deny}\n---\n" + Deployment + "\n", "--manual", "--values", values.Path);

        Assert.Contains("image: registry.example/mesh/mesh-proxy:9.9.9\n", run.Out, StringComparison.Ordinal);
        Assert.Contains("- name: MESH_EGRESS\n          value: deny\n", run.Out, StringComparison.Ordinal);
        Assert.Contains("- name: MESH_ACCESS_LOG\n          value: json\n", run.Out, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(64, "no manifests are given", "inject")]
    [InlineData(64, "'skip-outbund-ports' is no annotation", "inject", "--set", "skip-outbund-ports=1", "-")]
    [InlineData(64, "Did you mean 'skip-outbound-ports'?", "inject", "--set", "skip-outbund-ports=1", "-")]
    [InlineData(64, "'all' is none of its values", "inject", "--set", "skip-outbound-ports=all", "-")]
    [InlineData(65, "'/nowhere/x.yaml' is not there", "inject", "-f", "/nowhere/x.yaml")]
    [InlineData(65, "the values of '/nowhere/v.yaml' can't be used", "inject", "--values", "/nowhere/v.yaml", "-")]
    [InlineData(65, "standard input:3 is no valid YAML", "inject", "-")]
    [InlineData(65, "standard input:3 is no valid YAML", "uninject", "-f", "-")]
    public async Task Inject_WrongInput_SaysWhatAndWritesNothing(int exit, string message, params string[] args)
    {
        var run = await CliRun.RunAsync([], args, input: "a: 1\nb: 2\n c: [\n");

        Assert.Equal(exit, run.ExitCode);
        Assert.Contains(message, run.Error, StringComparison.Ordinal);
        Assert.Empty(run.Out);
    }

    private const string Pods = """
        apiVersion: v1
        kind: Service
        metadata: {name: one}   # not a workload
        ---
        # A pod.
        apiVersion: v1
        kind: Pod
        metadata:
          name: one
        spec:
          containers:
          - {name: one, image: one}
        ---
        apiVersion: batch/v1
        kind: CronJob
        metadata:
          name: nightly
        spec:
          schedule: "0 3 * * *"
          jobTemplate:
            spec:
              template:
                spec:
                  restartPolicy: Never
                  containers:
                  - name: report
                    image: report

        """;

    private const string List = """
        apiVersion: v1
        kind: List
        items:
        - apiVersion: v1
          kind: ConfigMap
          metadata: {name: c}
        - apiVersion: apps/v1
          kind: StatefulSet
          metadata: {name: db}
          spec:
            template:
              metadata:
                labels:
                  app: db
              spec:
                containers:
                - name: db
                  image: db

        """;

    private static Task<CliRun> RunAsync(string command, string input, params string[] args) => CliRun.RunAsync([], [command, .. args, "-"], input: input);

    private sealed class TemporaryFile : IDisposable
    {
        public TemporaryFile(string text) => File.WriteAllText(Path, text);

        public string Path { get; } = System.IO.Path.GetTempFileName();

        public void Dispose() => File.Delete(Path);
    }
}
