using System.Text.Json.Nodes;
using Mesh.ControlPlane;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Hosting;
using Mesh.ControlPlane.Model;
using Mesh.Testing.Kubernetes;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mesh.Conformance.Tests.GatewayApi;

/// <summary>A real control plane in this process, on the objects of all cases.</summary>
internal abstract class TestedControlPlane(MeshControlPlaneOptions options) : IAsyncDisposable
{
    private ControlPlaneAddresses? _addresses;

    protected MeshControlPlaneHost Host { get; } = new(options, ControlPlaneParts.Default, TimeProvider.System, NullLoggerFactory.Instance);

    public MeshModel Model => Host.Services!.GetRequiredService<ModelStore>().Current;

    public async Task StartAsync() => _addresses = await Host.StartAsync(CancellationToken.None);

    /// <summary>What an operator sets for a workload.</summary>
    public Dictionary<string, string?> Settings(string ns, string account) => new()
    {
        ["Mesh:ControlPlane"] = $"https://{_addresses!.Grpc}",
        ["Mesh:TrustBundle"] = _addresses.TrustBundle,
        ["Mesh:Token"] = Token(ns, account),
        ["Mesh:Namespace"] = ns,
        ["Mesh:ServiceAccount"] = account,
    };

    /// <summary>What a route's status says of one of its parents, by the condition's type: true or not, and why. Empty: nothing yet.</summary>
    public abstract IReadOnlyDictionary<string, (bool Status, string Reason)> Conditions(string kind, string ns, string route, string parent);

    /// <summary>Shows that somebody is this service account.</summary>
    protected abstract string Token(string ns, string account);

    public virtual async ValueTask DisposeAsync()
    {
        await Host.StopAsync();
        await Host.DisposeAsync();
    }

    protected static MeshControlPlaneOptions Options(string folder) => new() { DataFolder = Path.Combine(folder, "data"), AdsPort = 0, GrpcPort = 0, HttpPort = 0 };
}

/// <summary>On a folder of manifests.</summary>
internal sealed class FolderControlPlane(string folder, ClusterObjects objects) : TestedControlPlane(OptionsOf(folder, objects))
{
    public override IReadOnlyDictionary<string, (bool Status, string Reason)> Conditions(string kind, string ns, string route, string parent) =>
        Model.RouteReports.Single(r => r.Kind == kind && r.Name == new ServiceName(ns, route)).Parents.Single(p => p.Name == parent).Conditions.ToDictionary(c => c.Type, c => (c.Status, c.Reason));

    protected override string Token(string ns, string account) => Host.Services!.GetRequiredService<JoinTokens>().Create(ns, account).Token;

    private static MeshControlPlaneOptions OptionsOf(string folder, ClusterObjects objects)
    {
        var options = Options(folder);
        options.ConfigFolder = Directory.CreateDirectory(Path.Combine(folder, "manifests")).FullName;
        foreach (var (name, of) in objects.Files)
        {
            // JSON is YAML.
            File.WriteAllText(Path.Combine(options.ConfigFolder, name + ".yaml"), string.Join("\n---\n", of.Select(o => o.ToJsonString())));
        }

        return options;
    }
}

/// <summary>On a Kubernetes API server that stands in for one.</summary>
internal sealed class ClusterControlPlane(string folder, FakeKubeApi api) : TestedControlPlane(OptionsOf(folder, api))
{
    private static readonly (string Kind, string Version)[] _kinds = [("HTTPRoute", "v1"), ("GRPCRoute", "v1"), ("ReferenceGrant", "v1beta1")];

    public static async Task<TestedControlPlane> CreateAsync(string folder, ClusterObjects objects)
    {
        var api = await FakeKubeApi.StartAsync();
        try
        {
            foreach (var (kind, version) in _kinds)
            {
                Define(api, kind, version);
            }

            foreach (var o in objects.All)
            {
                api.Apply(o.DeepClone().AsObject());
            }

            return new ClusterControlPlane(folder, api);
        }
        catch
        {
            await api.DisposeAsync();
            throw;
        }
    }

    public override IReadOnlyDictionary<string, (bool Status, string Reason)> Conditions(string kind, string ns, string route, string parent) =>
        (api.Get($"{kind.ToLowerInvariant()}s.gateway.networking.k8s.io", ns, route)["status"]?["parents"]?.AsArray().SingleOrDefault(p => (string?)p!["parentRef"]!["name"] == parent)?["conditions"]?.AsArray() ?? [])
            .ToDictionary(c => (string)c!["type"]!, c => ((string?)c!["status"] == "True", (string)c["reason"]!));

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        await api.DisposeAsync();
    }

    /// <summary>Tokens are bound to a Pod: one that the objects have, else one that only calls.</summary>
    protected override string Token(string ns, string account)
    {
        var pod = api.List("pods", ns).FirstOrDefault(p => (string?)p["spec"]!["serviceAccountName"] == account) ?? api.Apply(new JsonObject
        {
            ["apiVersion"] = "v1",
            ["kind"] = "Pod",
            ["metadata"] = new JsonObject { ["name"] = account, ["namespace"] = ns },
            ["spec"] = new JsonObject { ["serviceAccountName"] = account, ["containers"] = new JsonArray(new JsonObject { ["name"] = "app", ["image"] = "app" }) },
        });
        return api.IssueToken(ns, account, ClusterObjects.NameOf(pod), "meshlib.io");
    }

    private static MeshControlPlaneOptions OptionsOf(string folder, FakeKubeApi api)
    {
        var token = Path.Combine(folder, "token");
        File.WriteAllText(token, api.Token);
        var options = Options(folder);
        (options.Kubernetes, options.ApiServer, options.ApiTokenFile, options.SystemNamespace, options.ReplicaName) = (true, api.Address.ToString(), token, "mesh-system", "control-plane-0");
        api.Apply("{ apiVersion: v1, kind: Namespace, metadata: { name: mesh-system } }");
        return options;
    }

    private static void Define(FakeKubeApi api, string kind, string version)
    {
        var plural = kind.ToLowerInvariant() + "s";
        api.Apply($$"""
            apiVersion: apiextensions.k8s.io/v1
            kind: CustomResourceDefinition
            metadata: { name: {{plural}}.gateway.networking.k8s.io, annotations: { api-approved.kubernetes.io: "unapproved, for tests" } }
            spec:
              group: gateway.networking.k8s.io
              scope: Namespaced
              names: { kind: {{kind}}, listKind: {{kind}}List, plural: {{plural}}, singular: {{kind.ToLowerInvariant()}} }
              versions:
              - { name: {{version}}, served: true, storage: true, subresources: { status: {} }, schema: { openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true } } }
            """);
    }
}
