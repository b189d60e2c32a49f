using System.Text.Json.Nodes;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources;
using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.ControlPlane.Cluster;

/// <summary>Writes what became of routes and policies into their status: only what differs, slowly, and never for a version that nobody has read yet.</summary>
internal sealed class StatusWriter : LeaderLoop
{
    private static readonly TimeSpan BetweenObjects = TimeSpan.FromMilliseconds(10);
    private readonly KubeApi _api;
    private readonly ModelStore _store;
    private readonly Func<MeshModel, IReadOnlyList<ObjectStatus>> _statuses;
    private readonly TimeProvider _time;
    private readonly IDisposable _models;

    /// <summary>What was found in place or written in this term, by path.</summary>
    private readonly Dictionary<string, (long Generation, string Status)> _done = new(StringComparer.Ordinal);

    public StatusWriter(
        KubeApi api, ModelStore store, Func<MeshModel, IReadOnlyList<ObjectStatus>> statuses, LeaderLease lease, TimeProvider time, Random random, ILogger<StatusWriter> logger)
        : base(lease, time, random, logger)
    {
        (_api, _store, _statuses, _time) = (api, store, statuses, time);
        _models = store.Subscribe(_ => Wake());
    }

    /// <summary>Objects whose status was written since start.</summary>
    public long Written { get; private set; }

    protected override string Purpose => "Writing the status of routes and policies";

    /// <summary>Somebody else may have written over it.</summary>
    protected override TimeSpan Period => TimeSpan.FromMinutes(5);

    public override void Dispose()
    {
        _models.Dispose();
        base.Dispose();
    }

    protected override void Begin() => _done.Clear();

    protected override async Task DoAsync(CancellationToken cancellationToken)
    {
        var wanted = _statuses(_store.Current);
        KubeApiException? failed = null;
        foreach (var status in wanted)
        {
            try
            {
                await WriteAsync(status, cancellationToken);
            }
            catch (KubeApiException e) when (e.Status is not (0 or System.Net.HttpStatusCode.TooManyRequests))
            {
                // Of one object; the others need not wait for it.
                failed = e;
            }
        }

        // No parent of ours any more: what we said is taken back.
        var paths = wanted.Select(s => s.ResourcePath).ToHashSet(StringComparer.Ordinal);
        foreach (var (path, done) in _done.Where(d => !paths.Contains(d.Key)).ToList())
        {
            if (done.Status.Contains("\"parents\"", StringComparison.Ordinal))
            {
                await WriteAsync(new ObjectStatus(path, 0, new JsonObject { ["parents"] = new JsonArray() }), cancellationToken);
            }

            _done.Remove(path);
        }

        if (failed is not null)
        {
            throw failed;
        }
    }

    private async Task WriteAsync(ObjectStatus status, CancellationToken cancellationToken)
    {
        var text = status.Status.ToJsonString();
        if (_done.TryGetValue(status.ResourcePath, out var done) && done == (status.Generation, text))
        {
            return;
        }

        await Task.Delay(BetweenObjects, _time, cancellationToken);
        // Read anew: others write there too. Its version goes with the patch.
        if (await _api.GetAsync(status.ResourcePath, cancellationToken) is not { } found)
        {
            return;
        }

        if (status.Generation != 0 && found["metadata"]?["generation"]?.GetValue<long>() is { } newest && newest != status.Generation)
        {
            // Changed since it was read: the model that comes next tells of it.
            return;
        }

        if (StatusMerge.Changes(found["status"] as JsonObject, status.Status, Annotations.Controller, _time.GetUtcNow()) is { } changes)
        {
            await _api.PatchAsync(
                status.ResourcePath + "/status", new JsonObject { ["metadata"] = new JsonObject { ["resourceVersion"] = WatchedObjects.VersionOf(found) }, ["status"] = changes },
                KubePatch.Merge, ClusterNames.FieldManager, cancellationToken);
            Written++;
        }

        _done[status.ResourcePath] = (status.Generation, text);
    }
}
