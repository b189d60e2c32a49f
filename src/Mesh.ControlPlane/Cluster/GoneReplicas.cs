using System.Globalization;
using System.Text.Json.Nodes;
using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.ControlPlane.Cluster;

/// <summary>Notes which replicas are gone, and forgets them when nothing that they signed is good any more.</summary>
/// <remarks>Gone is who is silent and has no pod: a silent replica whose pod is there may be cut off from the API server alone, and go on serving what it knew.</remarks>
internal sealed partial class GoneReplicas(KubeApi api, string ns, Replicas replicas, LeaderLease lease, TimeProvider time, Random random, ILogger<GoneReplicas> logger)
    : LeaderLoop(lease, time, random, logger)
{
    private readonly TimeProvider _time = time;
    private readonly ILogger _logger = logger;

    protected override string Purpose => "Looking after replicas that are gone";

    protected override TimeSpan Period => TimeSpan.FromSeconds(5);

    protected override async Task DoAsync(CancellationToken cancellationToken)
    {
        foreach (var replica in replicas.Others)
        {
            var path = $"{ClusterNames.ConfigMaps(ns)}/{ClusterNames.ReplicaPrefix}{replica.Pod}";
            if (replica.IsOver)
            {
                if (replica.SignedUntil <= _time.GetUtcNow())
                {
                    await api.DeleteAsync(path, cancellationToken);
                }
            }
            else if (replica.FreshUntil.Left(_time) <= TimeSpan.Zero && !await HasPodAsync(replica.Pod, cancellationToken))
            {
                var gone = new JsonObject
                {
                    ["metadata"] = new JsonObject { ["resourceVersion"] = replica.Version },
                    ["data"] = new JsonObject { [ReplicaSummary.GoneKey] = _time.GetUtcNow().ToString("O", CultureInfo.InvariantCulture) },
                };
                try
                {
                    await api.PatchAsync(path, gone, KubePatch.Merge, ClusterNames.FieldManager, cancellationToken);
                    Log.Gone(_logger, replica.Pod);
                }
                catch (KubeApiException e) when (e.IsConflict || e.IsNotFound)
                {
                    // It has said something after all, or somebody removed it.
                }
            }
        }
    }

    private async Task<bool> HasPodAsync(string pod, CancellationToken cancellationToken) =>
        await api.GetAsync($"{ClusterNames.Pods(ns)}/{pod}", cancellationToken) is { } found && found["status"]?["phase"]?.GetValue<string>() is not ("Succeeded" or "Failed");

    private static partial class Log
    {
        [LoggerMessage(5245, LogLevel.Warning, "Replica {Pod} is gone without a word: a change of the root waits for one life of a certificate, as nobody knows what it signed last", EventName = nameof(Gone))]
        public static partial void Gone(ILogger logger, string pod);
    }
}
