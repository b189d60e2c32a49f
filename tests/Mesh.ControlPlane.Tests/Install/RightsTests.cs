using System.Text.Json.Nodes;
using Mesh.ControlPlane.Install;
using Mesh.ControlPlane.Tests.Cluster;
using Mesh.Testing;
using Mesh.Testing.Kubernetes;
using Xunit;

namespace Mesh.ControlPlane.Tests.Install;

/// <summary>The control plane may do what it does, and nothing else.</summary>
public sealed class RightsTests
{
    private const string Ns = "mesh-system";

    /// <summary>What it does: verb, group, resource, namespace (null: everywhere), name (null: any).</summary>
    private static readonly (string Verbs, string Group, string Resource, string? Namespace, string? Name)[] Needed =
    [
        ("list watch", "", "services", null, null),
        ("list watch", "", "nodes", null, null),
        ("get list watch patch", "", "pods", null, null),
        ("get list watch", "", "namespaces", null, null),
        ("list watch", "discovery.k8s.io", "endpointslices", null, null),
        .. new[] { "httproutes", "grpcroutes", "tlsroutes", "tcproutes" }.SelectMany(r => new[]
        {
            ("get list watch", "gateway.networking.k8s.io", r, (string?)null, (string?)null),
            ("patch", "gateway.networking.k8s.io", r + "/status", null, null),
        }),
        ("list watch", "gateway.networking.k8s.io", "referencegrants", null, null),
        .. DeployFiles.Plurals.SelectMany(p => new[] { ("get list watch", "policy.meshlib.io", p, (string?)null, (string?)null), ("patch", "policy.meshlib.io", p + "/status", null, null) }),
        ("create delete", "policy.meshlib.io", "faultpolicies", null, null),
        ("list watch", "apiextensions.k8s.io", "customresourcedefinitions", null, null),
        ("create", "authentication.k8s.io", "tokenreviews", null, null),
        ("create", "authorization.k8s.io", "subjectaccessreviews", null, null),
        ("create", "", "events", null, null),
        ("list watch patch", "admissionregistration.k8s.io", "mutatingwebhookconfigurations", null, "mesh-injector"),
        ("list watch patch", "admissionregistration.k8s.io", "validatingwebhookconfigurations", null, "mesh-validator"),
        ("create", "", "configmaps", null, null),
        ("get list watch patch", "", "configmaps", null, "mesh-trust-bundle"),
        ("create", "coordination.k8s.io", "leases", Ns, null),
        ("get update", "coordination.k8s.io", "leases", Ns, "mesh-control-plane"),
        ("create", "", "secrets", Ns, null),
        ("get list watch update", "", "secrets", Ns, "mesh-authority"),
        ("get", "", "secrets", Ns, "mesh-admin-token"),
        ("get list watch", "", "secrets", Ns, "mesh-issuer"),
        ("get list watch create patch delete", "", "configmaps", Ns, null),
    ];

    [Fact]
    public void Rights_AreThoseThatAreNeeded()
    {
        var needed = Needed.SelectMany(n => n.Verbs.Split(' ').Select(v => $"{v} {n.Group}/{n.Resource} in {n.Namespace ?? "all"} of {n.Name ?? "any"}")).Order(StringComparer.Ordinal);
        var objects = InstallManifest.ControlPlane(new InstallValues()).ToList();
        var given = objects.Where(o => o["kind"]!.ToString() is "ClusterRole" or "Role" && o["metadata"]!["name"]!.ToString() == "mesh-control-plane")
            .SelectMany(role => role["rules"]!.AsArray().SelectMany(rule =>
                from verb in Texts(rule!["verbs"])
                from @group in Texts(rule["apiGroups"])
                from resource in Texts(rule["resources"])
                from name in rule["resourceNames"] is { } names ? Texts(names) : ["any"]
                select $"{verb} {@group}/{resource} in {(role["kind"]!.ToString() == "Role" ? Ns : "all")} of {name}"));

        Assert.Equal(needed.Distinct(), given.Order(StringComparer.Ordinal).Distinct());
        Assert.DoesNotContain(objects.SelectMany(o => o["rules"]?.AsArray() ?? []), r => Texts(r!["verbs"]).Contains("*") || Texts(r["resources"]).Contains("*") || Texts(r["apiGroups"]).Contains("*"));
    }

    /// <summary>A control plane with these rights alone leads, has an authority, gives every namespace the roots, and is refused nothing.</summary>
    [Fact]
    public async Task ControlPlane_WithItsRights_IsRefusedNothing()
    {
        await using var mesh = await ClusterMesh.StartAsync(new FakeKubeApiOptions { Authorize = true });
        var values = new InstallValues();
        foreach (var item in InstallManifest.Crds(values).Concat(InstallManifest.ControlPlane(values)).Where(o => o["kind"]!.ToString() != "Deployment"))
        {
            mesh.Server.Apply(item);
        }

        mesh.ControlPlaneToken = mesh.Server.IssueToken(Ns, "mesh-control-plane");
        await mesh.ReplicaAsync("mesh-control-plane-1");
        await mesh.LeaderAsync();

        await Eventually.Async(() => mesh.Server.Find("configmaps", "shop", "mesh-trust-bundle") is not null, "the roots are in every namespace", TimeSpan.FromSeconds(30));
        await Eventually.Async(
            () => mesh.Server.Get("mutatingwebhookconfigurations.admissionregistration.k8s.io", "", "mesh-injector")["webhooks"]![0]!["clientConfig"]!["caBundle"] is not null,
            "the webhooks are trusted", TimeSpan.FromSeconds(30));
        Assert.Empty(mesh.Server.Log.All.Where(r => r.Status == 403).Select(r => $"{r.Verb} {r.Resource} {r.Namespace}/{r.Name} {r.Query}").Distinct());
    }

    private static string[] Texts(JsonNode? list) => [.. list!.AsArray().Select(t => t!.ToString())];
}
