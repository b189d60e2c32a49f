using System.Text.Json.Nodes;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources.Kubernetes;
using Mesh.ControlPlane.Sources.Manifests;

namespace Mesh.ControlPlane.Cluster;

/// <summary>Writes marks: on a Pod, or into the ConfigMap of addresses without one.</summary>
internal sealed class MarkWriter(KubeApi api, string ns, WatchedObjects maps)
{
    /// <param name="ports">All that are known of it.</param>
    /// <returns>False when the Pod is gone.</returns>
    public async Task<bool> WritePodAsync(Workload pod, IEnumerable<int> ports, bool sidecar, CancellationToken cancellationToken)
    {
        var text = MarkText.With(pod.Mark, ports, sidecar);
        var patch = new JsonObject { ["metadata"] = new JsonObject { ["annotations"] = new JsonObject { [PodMark.Annotation] = text } } };
        try
        {
            await api.PatchAsync($"{ClusterNames.Pods(pod.Namespace)}/{pod.Name}", patch, KubePatch.Merge, ClusterNames.FieldManager, cancellationToken);
            return true;
        }
        catch (KubeApiException e) when (e.IsNotFound)
        {
            return false;
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
}
