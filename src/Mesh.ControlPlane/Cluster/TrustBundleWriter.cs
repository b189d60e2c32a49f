using System.Text.Json.Nodes;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.ControlPlane.Cluster;

/// <summary>Keeps the roots in force in a ConfigMap of every namespace: pods mount it to know the control plane when they start.</summary>
internal sealed class TrustBundleWriter : LeaderLoop
{
    private readonly KubeApi _api;
    private readonly WatchedObjects _namespaces;
    private readonly WatchedObjects _bundles;
    private readonly TrustBundleStore _trust;

    /// <param name="bundles">The ConfigMaps of that name, of all namespaces.</param>
    public TrustBundleWriter(
        KubeApi api, WatchedObjects namespaces, WatchedObjects bundles, TrustBundleStore trust, LeaderLease lease, TimeProvider time, Random random, ILogger<TrustBundleWriter> logger)
        : base(lease, time, random, logger)
    {
        (_api, _namespaces, _bundles, _trust) = (api, namespaces, bundles, trust);
        namespaces.Subscribe(Wake);
        bundles.Subscribe(Wake);
        trust.Subscribe(Wake);
    }

    protected override string Purpose => "Writing the trust bundle into every namespace";

    /// <summary>Where the roots do not stand yet, in a word; a pod that starts there would not know who signs next.</summary>
    public IEnumerable<RotationWait> Undone(TrustSnapshot trust)
    {
        var bundles = _bundles.Items;
        var missing = _namespaces.Items.Where(n => n.Value["metadata"]?["deletionTimestamp"] is null && !(bundles.TryGetValue($"{n.Key}/{ClusterNames.TrustBundle}", out var held) && Is(held, trust.Pem)))
            .Select(n => n.Key).Order(StringComparer.Ordinal).ToList();
        return missing.Count == 0 && _namespaces.Synced.IsCompletedSuccessfully && _bundles.Synced.IsCompletedSuccessfully ? []
            : [new RotationWait(ClusterNames.TrustBundle, $"{missing.Count} namespaces: {string.Join(", ", missing.Take(3))}", true, "roots", null)];
    }

    protected override async Task DoAsync(CancellationToken cancellationToken)
    {
        await Task.WhenAll(_namespaces.Synced, _bundles.Synced).WaitAsync(cancellationToken);
        var pem = _trust.Current.Pem;
        var bundles = _bundles.Items;
        KubeApiException? failed = null;
        foreach (var (name, ns) in _namespaces.Items)
        {
            if (ns["metadata"]?["deletionTimestamp"] is not null || (bundles.TryGetValue($"{name}/{ClusterNames.TrustBundle}", out var held) && Is(held, pem)))
            {
                continue;
            }

            try
            {
                _bundles.Put(await WriteAsync(name, held is not null, pem, cancellationToken));
            }
            catch (KubeApiException e) when (e.IsNotFound || e.Reason == "AlreadyExists")
            {
                // Namespace or ConfigMap came or went meanwhile: the watch tells.
            }
            catch (KubeApiException e)
            {
                // One namespace must not keep the others waiting: one that refuses is tried again when all have been.
                failed = e;
                if (e.Status is 0 or System.Net.HttpStatusCode.TooManyRequests)
                {
                    throw;
                }
            }
        }

        if (failed is not null)
        {
            throw failed;
        }
    }

    private static bool Is(JsonObject bundle, string pem) => bundle["data"]?[ClusterNames.TrustBundleKey] is JsonValue value && value.TryGetValue<string>(out var text) && text == pem;

    private Task<JsonObject> WriteAsync(string ns, bool exists, string pem, CancellationToken cancellationToken)
    {
        var data = new JsonObject { [ClusterNames.TrustBundleKey] = pem };
        return exists
            ? _api.PatchAsync($"{ClusterNames.ConfigMaps(ns)}/{ClusterNames.TrustBundle}", new JsonObject { ["data"] = data }, KubePatch.Merge, ClusterNames.FieldManager, cancellationToken)
            : _api.CreateAsync(ClusterNames.ConfigMaps(ns), new JsonObject
            {
                ["apiVersion"] = "v1",
                ["kind"] = "ConfigMap",
                ["metadata"] = new JsonObject
                {
                    ["name"] = ClusterNames.TrustBundle,
                    ["namespace"] = ns,
                    ["labels"] = new JsonObject { ["app.kubernetes.io/part-of"] = "mesh", ["app.kubernetes.io/managed-by"] = ClusterNames.FieldManager },
                },
                ["data"] = data,
            }, cancellationToken);
    }
}
