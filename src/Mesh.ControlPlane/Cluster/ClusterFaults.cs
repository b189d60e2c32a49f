using System.Globalization;
using System.Text.Json.Nodes;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Insight;
using Mesh.ControlPlane.Sources;
using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.ControlPlane.Cluster;

/// <summary>Temporary faults of a cluster: FaultPolicies with a label, which end by themselves; the leader removes them. Thread-safe.</summary>
internal sealed class ClusterFaults(KubeApi api, WatchedObjects objects, TimeProvider time) : ITemporaryFaults
{
    private const string Group = $"/apis/{TemporaryFault.ApiVersion}";

    public static string WatchPath => $"{Group}/faultpolicies?labelSelector={Uri.EscapeDataString(TemporaryFault.Label)}";

    /// <inheritdoc/>
    public IReadOnlyList<TemporaryFault> All => [.. Kept.Where(f => f.ExpiresAt > time.GetUtcNow())];

    /// <summary>Those that are over and still there.</summary>
    public IEnumerable<TemporaryFault> Over => Kept.Where(f => f.ExpiresAt <= time.GetUtcNow());

    /// <inheritdoc/>
    public async Task AddAsync(TemporaryFault fault, CancellationToken cancellationToken)
    {
        try
        {
            foreach (var earlier in Kept.Where(f => f.Name == fault.Name).ToList())
            {
                await DeleteAsync(earlier, cancellationToken);
            }

            objects.Put(await api.CreateAsync($"{Group}/namespaces/{fault.Namespace}/faultpolicies", fault.Manifest(), cancellationToken));
        }
        catch (KubeApiException e)
        {
            throw new StateNotKeptException($"The FaultPolicy could not be written: {e.Message}", e);
        }
    }

    /// <inheritdoc/>
    public async Task<bool> RemoveAsync(string id, CancellationToken cancellationToken)
    {
        if (Kept.FirstOrDefault(f => f.Id == id) is not { } fault)
        {
            return false;
        }

        try
        {
            await DeleteAsync(fault, cancellationToken);
            return true;
        }
        catch (KubeApiException e)
        {
            throw new StateNotKeptException($"The FaultPolicy could not be removed: {e.Message}", e);
        }
    }

    public async Task DeleteAsync(TemporaryFault fault, CancellationToken cancellationToken)
    {
        await api.DeleteAsync($"{Group}/namespaces/{fault.Namespace}/faultpolicies/{fault.PolicyName}", cancellationToken);
        objects.Remove($"{fault.Namespace}/{fault.PolicyName}");
    }

    private IEnumerable<TemporaryFault> Kept => objects.Items.Values.Select(Read).OfType<TemporaryFault>();

    /// <summary>Null when somebody made of it what ours never are.</summary>
    private static TemporaryFault? Read(JsonObject item)
    {
        var (meta, spec) = (item["metadata"], item["spec"]);
        var (delay, abort) = (spec?["delay"], spec?["abort"]);
        try
        {
            return (string?)meta?["labels"]?[TemporaryFault.Label] is { } id && (string?)meta["namespace"] is { } ns && spec?["targetRefs"] is JsonArray { Count: 1 } targets
                && (string?)targets[0]?["name"] is { } service && DateTimeOffset.TryParse((string?)spec["expiresAt"], CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var end)
                && DateTimeOffset.TryParse((string?)meta["creationTimestamp"], CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var made)
                && new TemporaryFault(id, ns, service, Milliseconds((string?)delay?["fixed"]), (int?)delay?["percent"], (int?)abort?["httpStatus"], (int?)abort?["grpcStatus"], (int?)abort?["percent"], made, end,
                    (string?)meta["annotations"]?[Annotations.AskedBy] ?? "unknown") is var fault && fault.PolicyName == (string?)meta["name"]
                ? fault : null;
        }
        catch (Exception e) when (e is InvalidOperationException or FormatException)
        {
            return null;
        }
    }

    private static int? Milliseconds(string? text) => text is not null && text.EndsWith("ms", StringComparison.Ordinal) ? int.Parse(text[..^2], CultureInfo.InvariantCulture) : null;
}
