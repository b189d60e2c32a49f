using System.Text.Json.Nodes;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources;
using Mesh.ControlPlane.Sources.Kubernetes;
using Mesh.Testing;
using Mesh.Testing.Kubernetes;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.Sources.Kubernetes;

/// <summary>A fake API server with a source that follows it.</summary>
internal sealed class TestCluster : IAsyncDisposable
{
    private readonly KubeApi _kube;

    private TestCluster(FakeKubeApi api, TimeProvider time, FakeMarks marks, IHostNameResolver? resolver)
    {
        (Api, Marks) = (api, marks);
        _kube = KubeApi.At(api.Address, api.Token, null, time);
        Source = new KubernetesSource(
            new KubernetesSourceOptions { TrustDomain = Manifests.TrustDomain, Quiet = TimeSpan.FromMilliseconds(10), LongestWait = TimeSpan.FromMilliseconds(50) },
            _kube, marks, Store, time, new Random(1), LoggerFactory.Create(l => l.SetMinimumLevel(LogLevel.Debug).AddProvider(new FakeLoggerProvider(Logs))).CreateLogger<KubernetesSource>(), resolver);
    }

    public FakeKubeApi Api { get; }

    public FakeMarks Marks { get; }

    public ModelStore Store { get; } = new();

    public KubernetesSource Source { get; }

    public FakeLogCollector Logs { get; } = FakeLogCollector.Create(new FakeLogCollectorOptions());

    public MeshModel Model => Store.Current;

    /// <param name="before">What the cluster has when the source comes.</param>
    /// <param name="definitions">False: no CRD is installed.</param>
    public static async Task<TestCluster> StartAsync(
        Action<FakeKubeApi>? before = null, FakeKubeApiOptions? options = null, bool definitions = true, TimeProvider? time = null, FakeMarks? marks = null, IHostNameResolver? resolver = null)
    {
        var api = await FakeKubeApi.StartAsync(options);
        if (definitions)
        {
            Define(api);
        }

        before?.Invoke(api);
        var cluster = new TestCluster(api, time ?? TimeProvider.System, marks ?? new FakeMarks(), resolver);
        try
        {
            await cluster.Source.StartAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }

        return cluster;
    }

    /// <summary>All kinds that are no part of Kubernetes, as their CRDs make them; what they hold is not looked at.</summary>
    public static void Define(FakeKubeApi api)
    {
        foreach (var kind in WatchedKinds.All.Where(k => !k.IsCore))
        {
            Define(api, kind);
        }
    }

    public static void Define(FakeKubeApi api, WatchedKind kind)
    {
        var group = kind.ApiVersions[0].Split('/')[0];
        var plural = kind.Kind.EndsWith('y') ? $"{kind.Kind[..^1].ToLowerInvariant()}ies" : $"{kind.Kind.ToLowerInvariant()}s";
        api.Apply(new JsonObject
        {
            ["apiVersion"] = "apiextensions.k8s.io/v1",
            ["kind"] = "CustomResourceDefinition",
            ["metadata"] = new JsonObject
            {
                ["name"] = $"{plural}.{group}",
                ["annotations"] = new JsonObject { ["api-approved.kubernetes.io"] = "https://github.com/kubernetes-sigs/gateway-api/pull/3328" },
            },
            ["spec"] = new JsonObject
            {
                ["group"] = group,
                ["scope"] = "Namespaced",
                ["names"] = new JsonObject { ["kind"] = kind.Kind, ["plural"] = plural, ["singular"] = kind.Kind.ToLowerInvariant(), ["listKind"] = kind.Kind + "List" },
                ["versions"] = new JsonArray([.. kind.ApiVersions.Select((v, i) => (JsonNode)new JsonObject
                {
                    ["name"] = v.Split('/')[1],
                    ["served"] = true,
                    ["storage"] = i == 0,
                    ["subresources"] = new JsonObject { ["status"] = new JsonObject() },
                    ["schema"] = new JsonObject { ["openAPIV3Schema"] = new JsonObject { ["type"] = "object", ["x-kubernetes-preserve-unknown-fields"] = true } },
                })]),
            },
        });
    }

    public Task ModelAsync(Func<MeshModel, bool> condition, string what) => Eventually.Async(() => condition(Model), what, TimeSpan.FromSeconds(30));

    public async ValueTask DisposeAsync()
    {
        await Source.DisposeAsync();
        _kube.Dispose();
        await Api.DisposeAsync();
    }
}
