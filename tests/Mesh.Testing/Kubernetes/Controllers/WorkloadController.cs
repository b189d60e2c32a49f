using System.Text.Json.Nodes;
using Mesh.Testing.Kubernetes.Storage;

namespace Mesh.Testing.Kubernetes.Controllers;

/// <summary>Makes Pods of Deployments by way of a ReplicaSet, as a cluster does, through the API and so through its webhooks; and says when they are ready.</summary>
/// <remarks>Not here: rolling out gradually. A changed template takes all old Pods away at once.</remarks>
internal sealed class WorkloadController(FakeKubeApi api) : Controller(api)
{
    protected override IReadOnlyList<string> Watched => ["apps/deployments", "apps/replicasets", "/pods"];

    protected override async Task ReconcileAsync(CancellationToken stopping)
    {
        foreach (var deployment in Api.Store.All("apps/deployments"))
        {
            var set = ReplicaSet(deployment.Json);
            var mine = Api.Store.All("apps/replicasets").Where(s => Owner(s.Json) == deployment.Json.Text("metadata", "uid")).ToList();
            foreach (var old in mine.Where(s => s.Name != set.Name()))
            {
                Api.Delete("replicasets.apps", old.Namespace, old.Name);
            }

            if (mine.Find(s => s.Name == set.Name()) is not { } there || there.Json.At("spec", "replicas").Long() != set.At("spec", "replicas").Long())
            {
                Api.Apply(set);
            }
        }

        foreach (var set in Api.Store.All("apps/replicasets"))
        {
            await ScaleAsync(set, stopping);
        }

        // Whose owner is gone goes too.
        var sets = Api.Store.All("apps/replicasets").Select(s => s.Json.Text("metadata", "uid")).ToHashSet();
        var deployments = Api.Store.All("apps/deployments").Select(s => s.Json.Text("metadata", "uid")).ToHashSet();
        foreach (var orphan in Api.Store.All("apps/replicasets").Where(s => Owner(s.Json) is { Length: > 0 } uid && !deployments.Contains(uid)))
        {
            Api.Delete("replicasets.apps", orphan.Namespace, orphan.Name);
        }

        foreach (var orphan in Api.Store.All("/pods").Where(p => p.Json.Items("metadata", "ownerReferences").Any(o => o.Text("kind") == "ReplicaSet") && !sets.Contains(Owner(p.Json))))
        {
            Api.Delete("pods", orphan.Namespace, orphan.Name);
        }

        Report();
    }

    private static string Owner(JsonObject json) => json.Items("metadata", "ownerReferences").FirstOrDefault(o => o.At("controller")?.GetValue<bool>() == true).Text("uid");

    private static JsonObject ReplicaSet(JsonObject deployment)
    {
        var template = deployment.At("spec", "template")!.DeepClone().AsObject();
        var hash = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(template.ToBytes()))[..9];
        template.Meta().Map("labels")["pod-template-hash"] = hash;
        var selector = deployment.At("spec", "selector")!.DeepClone().AsObject();
        selector.Map("matchLabels")["pod-template-hash"] = hash;
        return new JsonObject
        {
            ["apiVersion"] = "apps/v1",
            ["kind"] = "ReplicaSet",
            ["metadata"] = new JsonObject { ["name"] = $"{deployment.Name()}-{hash}", ["namespace"] = deployment.Namespace(), ["labels"] = template.At("metadata", "labels")!.DeepClone(), ["ownerReferences"] = OwnedBy(deployment) },
            ["spec"] = new JsonObject { ["replicas"] = deployment.At("spec", "replicas").Long() ?? 1, ["selector"] = selector, ["template"] = template },
        };
    }

    private static JsonArray OwnedBy(JsonObject owner) =>
        [new JsonObject { ["apiVersion"] = owner.Text("apiVersion"), ["kind"] = owner.Text("kind"), ["name"] = owner.Name(), ["uid"] = owner.Text("metadata", "uid"), ["controller"] = true, ["blockOwnerDeletion"] = true }];

    private async Task ScaleAsync(StoredObject set, CancellationToken stopping)
    {
        var pods = Api.Store.All("/pods").Where(p => Owner(p.Json) == set.Json.Text("metadata", "uid")).ToList();
        var wanted = set.Json.At("spec", "replicas").Long() ?? 1;
        foreach (var extra in pods.Skip((int)wanted))
        {
            Api.Delete("pods", extra.Namespace, extra.Name);
        }

        for (var i = pods.Count; i < wanted; i++)
        {
            var pod = set.Json.At("spec", "template")!.DeepClone().AsObject();
            pod["apiVersion"] = "v1";
            pod["kind"] = "Pod";
            pod.Meta()["generateName"] = set.Name + "-";
            pod.Meta()["namespace"] = set.Namespace;
            pod.Meta()["ownerReferences"] = OwnedBy(set.Json);
            if (!await Api.TryCreateAsync("pods", pod, stopping))
            {
                return;
            }
        }
    }

    private void Report()
    {
        foreach (var deployment in Api.Store.All("apps/deployments"))
        {
            var sets = Api.Store.All("apps/replicasets").Where(s => Owner(s.Json) == deployment.Json.Text("metadata", "uid")).Select(s => s.Json.Text("metadata", "uid")).ToHashSet();
            var pods = Api.Store.All("/pods").Where(p => sets.Contains(Owner(p.Json))).ToList();
            var ready = pods.Count(p => p.Json.Items("status", "conditions").Any(c => c.Text("type") == "Ready" && c.Text("status") == "True"));
            var status = new JsonObject
            {
                ["observedGeneration"] = deployment.Json.At("metadata", "generation").Long(),
                ["replicas"] = pods.Count,
                ["updatedReplicas"] = pods.Count,
                ["readyReplicas"] = ready,
                ["availableReplicas"] = ready,
                ["conditions"] = new JsonArray(new JsonObject { ["type"] = "Available", ["status"] = ready > 0 && ready >= (deployment.Json.At("spec", "replicas").Long() ?? 1) ? "True" : "False" }),
            };
            if (!JsonNode.DeepEquals(status, deployment.Json["status"]))
            {
                Api.Change("deployments.apps", deployment.Namespace, deployment.Name, json => json["status"] = status);
            }
        }
    }
}
