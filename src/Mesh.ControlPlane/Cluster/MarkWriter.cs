using System.Net;
using System.Text.Json.Nodes;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources.Kubernetes;
using Mesh.ControlPlane.Sources.Manifests;

namespace Mesh.ControlPlane.Cluster;

/// <summary>Writes marks: on a Pod, or into the ConfigMap of addresses without one.</summary>
internal sealed class MarkWriter(KubeApi api, string ns, WatchedObjects maps)
{
    /// <summary>How often others may change the Pod under us before we leave it for later.</summary>
    private const int MostConflicts = 5;

    /// <summary>Adds to what stands on the Pod now: what we hold of it may be older than another write, also one of ours.</summary>
    /// <returns>False when the Pod is gone, or another has its name.</returns>
    public async Task<bool> WritePodAsync(Workload pod, IReadOnlyCollection<int> ports, bool sidecar, CancellationToken cancellationToken)
    {
        var path = $"{ClusterNames.Pods(pod.Namespace)}/{pod.Name}";
        for (var conflicts = 0; ; conflicts++)
        {
            if (await api.GetAsync(path, cancellationToken) is not { } found || found["metadata"] is not JsonObject meta || !HasAddress(found, pod.Address))
            {
                return false;
            }

            var before = (meta["annotations"] as JsonObject)?[PodMark.Annotation]?.GetValue<string>();
            var text = MarkText.With(before, ports, sidecar);
            if (text == before)
            {
                return true;
            }

            var patch = new JsonObject
            {
                ["metadata"] = new JsonObject { ["resourceVersion"] = meta["resourceVersion"]?.DeepClone(), ["annotations"] = new JsonObject { [PodMark.Annotation] = text } },
            };
            try
            {
                await api.PatchAsync(path, patch, KubePatch.Merge, ClusterNames.FieldManager, cancellationToken);
                return true;
            }
            catch (KubeApiException e) when (e.IsNotFound)
            {
                return false;
            }
            catch (KubeApiException e) when (e.IsConflict && conflicts < MostConflicts)
            {
                // Somebody was first: once more, on top of it.
            }
        }
    }

    public async Task<bool> WriteListAsync(IEnumerable<(string HostPort, string Id, bool Sidecar)> marks, CancellationToken cancellationToken)
    {
        // A key each: two replicas that write at once lose nothing of each other.
        var data = new JsonObject(marks.Select(m => KeyValuePair.Create(MarkEntry.Key(m.HostPort), (JsonNode?)JsonValue.Create(MarkEntry.Value(m.Id, m.Sidecar)))));
        try
        {
            maps.Put(await api.PatchAsync($"{ClusterNames.ConfigMaps(ns)}/{ClusterNames.MarksConfigMap}", new JsonObject { ["data"] = data }, KubePatch.Merge, ClusterNames.FieldManager, cancellationToken));
        }
        catch (KubeApiException e) when (e.IsNotFound)
        {
            maps.Put(await api.CreateAsync(ClusterNames.ConfigMaps(ns), new JsonObject
            {
                ["apiVersion"] = "v1",
                ["kind"] = "ConfigMap",
                ["metadata"] = new JsonObject { ["name"] = ClusterNames.MarksConfigMap, ["namespace"] = ns, ["labels"] = new JsonObject { ["app.kubernetes.io/part-of"] = "mesh" } },
                ["data"] = data.DeepClone(),
            }, cancellationToken));
        }

        return true;
    }

    private static bool HasAddress(JsonObject pod, string address)
    {
        var status = pod["status"] as JsonObject;
        var all = (status?["podIPs"] as JsonArray ?? []).Select(ip => (ip as JsonObject)?["ip"]).Append(status?["podIP"]);
        return IPAddress.TryParse(address, out var wanted) && all.Any(ip => ip is JsonValue && IPAddress.TryParse(ip.ToString(), out var one) && one.Equals(wanted));
    }
}
