using System.Text;
using System.Text.Json.Nodes;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.ControlPlane.Cluster;

/// <summary>Keeps the roots in force in our webhook configurations: by them the API server knows the webhooks. What <c>kubectl apply</c> wiped is written again.</summary>
internal sealed class WebhookCaWriter : LeaderLoop
{
    private const string Mutating = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
    private const string Validating = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
    private readonly KubeApi _api;
    private readonly (string List, WatchedObjects Objects)[] _watched;
    private readonly TrustBundleStore _trust;

    public WebhookCaWriter(
        KubeApi api, WatchedObjects mutating, WatchedObjects validating, TrustBundleStore trust, LeaderLease lease, TimeProvider time, Random random, ILogger<WebhookCaWriter> logger)
        : base(lease, time, random, logger)
    {
        (_api, _watched, _trust) = (api, [(Mutating, mutating), (Validating, validating)], trust);
        mutating.Subscribe(Wake);
        validating.Subscribe(Wake);
        trust.Subscribe(Wake);
    }

    public static string MutatingList => ClusterNames.One(Mutating, ClusterNames.Injector);

    public static string ValidatingList => ClusterNames.One(Validating, ClusterNames.Validator);

    protected override string Purpose => "Writing the roots into the webhook configurations";

    /// <summary>Which configurations lack the roots; the API server would not know a webhook that the next one has signed.</summary>
    public IEnumerable<RotationWait> Undone(TrustSnapshot trust)
    {
        var bundle = Bundle(trust);
        return from watched in _watched
               from item in watched.Objects.Items
               where Patch(item.Value, bundle) is not null
               select new RotationWait("caBundle", item.Key, true, "roots", null);
    }

    protected override async Task DoAsync(CancellationToken cancellationToken)
    {
        var bundle = Bundle(_trust.Current);
        foreach (var (list, objects) in _watched)
        {
            await objects.Synced.WaitAsync(cancellationToken);
            foreach (var (name, configuration) in objects.Items)
            {
                if (Patch(configuration, bundle) is { } patch)
                {
                    try
                    {
                        objects.Put(await _api.PatchAsync($"{list}/{name}", patch, KubePatch.Json, ClusterNames.FieldManager, cancellationToken));
                    }
                    catch (KubeApiException e) when (e.IsNotFound)
                    {
                        // Taken away meanwhile: the watch tells.
                    }
                }
            }
        }
    }

    private static string Bundle(TrustSnapshot trust) => Convert.ToBase64String(Encoding.UTF8.GetBytes(trust.Pem));

    /// <summary>Null when nothing is to be changed. It holds for the version it was made from alone: places in a list may have moved.</summary>
    internal static JsonArray? Patch(JsonObject configuration, string bundle)
    {
        var patch = new JsonArray { new JsonObject { ["op"] = "test", ["path"] = "/metadata/resourceVersion", ["value"] = WatchedObjects.VersionOf(configuration) } };
        var webhooks = configuration["webhooks"] as JsonArray ?? [];
        for (var i = 0; i < webhooks.Count; i++)
        {
            if (webhooks[i]?["clientConfig"] is JsonObject client && client["caBundle"]?.GetValue<string>() != bundle)
            {
                patch.Add(new JsonObject { ["op"] = "add", ["path"] = $"/webhooks/{i}/clientConfig/caBundle", ["value"] = bundle });
            }
        }

        return patch.Count > 1 ? patch : null;
    }
}
