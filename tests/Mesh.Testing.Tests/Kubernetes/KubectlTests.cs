using Mesh.Testing.Kubernetes;
using Xunit;

namespace Mesh.Testing.Tests.Kubernetes;

/// <summary>A client that we did not write, as operators use it.</summary>
public sealed class KubectlTests
{
    private const string Deployment = """
        apiVersion: v1
        kind: Namespace
        metadata: { name: shop }
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: { name: cart, namespace: shop, labels: { app: cart } }
        spec:
          replicas: 1
          selector: { matchLabels: { app: cart } }
          template:
            metadata: { labels: { app: cart } }
            spec:
              containers:
              - { name: cart, image: "cart:1", ports: [{ containerPort: 8080 }] }
        """;

    private const string Definition = """
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata: { name: rules.policy.meshlib.io }
        spec:
          group: policy.meshlib.io
          scope: Namespaced
          names: { plural: rules, kind: Rule, shortNames: [ru], categories: [mesh] }
          versions:
          - name: v1
            served: true
            storage: true
            subresources: { status: {} }
            additionalPrinterColumns: [{ name: Mode, type: string, jsonPath: .spec.mode }]
            schema:
              openAPIV3Schema:
                type: object
                properties:
                  spec: { type: object, properties: { mode: { type: string, enum: [on, off] } } }
                  status: { type: object, x-kubernetes-preserve-unknown-fields: true }
        """;

    [Fact]
    public async Task Apply_TwiceAndChanged_IsCreatedUnchangedConfigured()
    {
        Assert.SkipWhen(Kubectl.Missing is not null, Kubectl.Missing ?? "");
        await using var api = await FakeKubeApi.StartAsync(new FakeKubeApiOptions { Https = true });
        using var kubectl = new Kubectl(api);

        Assert.Equal("namespace/shop created\ndeployment.apps/cart created\n", await kubectl.OutputAsync("apply -f -", Deployment));
        Assert.Equal("namespace/shop unchanged\ndeployment.apps/cart unchanged\n", await kubectl.OutputAsync("apply -f -", Deployment));
        Assert.Equal("namespace/shop unchanged\ndeployment.apps/cart configured\n", await kubectl.OutputAsync("apply -f -", Deployment.Replace("cart:1", "cart:2", StringComparison.Ordinal)));

        var container = api.Get("deployments.apps", "shop", "cart").Items("spec", "template", "spec", "containers").Single();
        Assert.Equal("cart:2", container.Text("image"));
        Assert.Equal("IfNotPresent", container.Text("imagePullPolicy"));
    }

    [Fact]
    public async Task ServerSideApply_OfAnothersField_IsRefusedUnlessForced()
    {
        Assert.SkipWhen(Kubectl.Missing is not null, Kubectl.Missing ?? "");
        await using var api = await FakeKubeApi.StartAsync(new FakeKubeApiOptions { Https = true });
        using var kubectl = new Kubectl(api);
        await kubectl.OutputAsync("apply --server-side -f -", Deployment);

        var other = Deployment.Replace("replicas: 1", "replicas: 2", StringComparison.Ordinal);
        var (code, _, error) = await kubectl.RunAsync("apply --server-side --field-manager other -f -", other);
        Assert.Equal(1, code);
        Assert.Contains("conflict with \"kubectl\"", error, StringComparison.Ordinal);
        Assert.Contains(".spec.replicas", error, StringComparison.Ordinal);

        await kubectl.OutputAsync("apply --server-side --field-manager other --force-conflicts -f -", other);
        Assert.Equal(2, (int)api.Get("deployments.apps", "shop", "cart")["spec"]!["replicas"]!);
    }

    [Fact]
    public async Task CustomResource_IsServedOnceDefined()
    {
        Assert.SkipWhen(Kubectl.Missing is not null, Kubectl.Missing ?? "");
        await using var api = await FakeKubeApi.StartAsync(new FakeKubeApiOptions { Https = true });
        using var kubectl = new Kubectl(api);
        const string Rule = """
            apiVersion: policy.meshlib.io/v1
            kind: Rule
            metadata: { name: a, namespace: default }
            spec: { mode: "on" }
            """;
        var (before, _, why) = await kubectl.RunAsync("apply -f -", Rule);
        Assert.Equal(1, before);
        Assert.Contains("no matches for kind \"Rule\"", why, StringComparison.Ordinal);

        Assert.Contains("rules.policy.meshlib.io created", await kubectl.OutputAsync("apply -f -", Definition.Replace("[on, off]", "[\"on\", \"off\"]", StringComparison.Ordinal)), StringComparison.Ordinal);
        await kubectl.OutputAsync("wait --for condition=established --timeout=20s crd/rules.policy.meshlib.io");
        Assert.Equal("rule.policy.meshlib.io/a created\n", await kubectl.OutputAsync("apply -f -", Rule));
        Assert.Equal("rule.policy.meshlib.io/a\n", await kubectl.OutputAsync("get ru -o name"));
        Assert.Contains("MODE", await kubectl.OutputAsync("get rules"), StringComparison.Ordinal);

        var (code, _, error) = await kubectl.RunAsync("apply -f -", Rule.Replace("\"on\"", "sometimes", StringComparison.Ordinal));
        Assert.Equal(1, code);
        Assert.Contains("spec.mode: Unsupported value: \"sometimes\": supported values: \"on\", \"off\"", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Get_Watching_PrintsChanges()
    {
        Assert.SkipWhen(Kubectl.Missing is not null, Kubectl.Missing ?? "");
        await using var api = await FakeKubeApi.StartAsync(new FakeKubeApiOptions { Https = true });
        using var kubectl = new Kubectl(api);
        await kubectl.OutputAsync("apply -f -", "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: first }\n");
        using var watch = kubectl.Start("get configmaps -w -o name");
        try
        {
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
            Assert.Equal("configmap/first", await watch.StandardOutput.ReadLineAsync(limit.Token));
            api.Apply("{ apiVersion: v1, kind: ConfigMap, metadata: { name: second, namespace: default } }");
            Assert.Equal("configmap/second", await watch.StandardOutput.ReadLineAsync(limit.Token));
        }
        finally
        {
            watch.Kill(entireProcessTree: true);
        }

        Assert.Equal("configmap \"first\" deleted\n", (await kubectl.OutputAsync("delete configmap first")).Replace(" from default namespace", "", StringComparison.Ordinal));
        Assert.Null(api.Find("configmaps", "default", "first"));
    }
}
