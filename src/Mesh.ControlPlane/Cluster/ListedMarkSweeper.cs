using System.Text.Json.Nodes;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources.Kubernetes;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Cluster;

/// <summary>Forgets marks of addresses without a Pod that no endpoint has had for a day.</summary>
internal sealed class ListedMarkSweeper(
    KubeApi api, string ns, WatchedObjects maps, ModelStore store, TrustDomain trustDomain, LeaderLease lease, TimeProvider time, Random random, ILogger<ListedMarkSweeper> logger)
    : LeaderLoop(lease, time, random, logger)
{
    /// <summary>How long a mark outlives its endpoint: it may be away for a while, and must not come back unmeshed.</summary>
    public static readonly TimeSpan LongestAbsence = TimeSpan.FromHours(24);
    private readonly TimeProvider _time = time;
    private readonly Dictionary<string, DateTimeOffset> _absent = new(StringComparer.Ordinal);

    protected override string Purpose => "Forgetting marks of addresses that are gone";

    protected override TimeSpan Period => TimeSpan.FromMinutes(10);

    protected override async Task DoAsync(CancellationToken cancellationToken)
    {
        await maps.Synced.WaitAsync(cancellationToken);
        var model = store.Current;
        if (ReferenceEquals(model, MeshModel.Empty) || maps.Items.GetValueOrDefault($"{ns}/{ClusterNames.MarksConfigMap}")?["data"] is not JsonObject data)
        {
            return;
        }

        var present = (
            from service in model.Services.Values
            from endpoint in service.Endpoints
            where endpoint.ServiceAccount is not null
            select (SpiffeId.ForServiceAccount(trustDomain, service.Name.Namespace, endpoint.ServiceAccount!).ToString(), endpoint.HostPort)).ToHashSet();
        var now = _time.GetUtcNow();
        var over = new JsonObject();
        foreach (var (key, value) in data)
        {
            if (MarkEntry.TryRead(key, value, out var hostPort, out var id, out _) && present.Contains((id, hostPort)))
            {
                _absent.Remove(key);
            }
            else if (!_absent.TryAdd(key, now) && now - _absent[key] >= LongestAbsence)
            {
                over[key] = null;
            }
        }

        if (over.Count > 0)
        {
            foreach (var (key, _) in over)
            {
                _absent.Remove(key);
            }

            maps.Put(await api.PatchAsync($"{ClusterNames.ConfigMaps(ns)}/{ClusterNames.MarksConfigMap}", new JsonObject { ["data"] = over }, KubePatch.Merge, ClusterNames.FieldManager, cancellationToken));
        }
    }
}
