using System.Globalization;
using System.Text.Json.Nodes;

namespace Mesh.ControlPlane.Injector;

/// <summary>What a pod belongs to, as people know it.</summary>
/// <param name="Kind">Such as <c>Deployment</c>.</param>
internal sealed record Workload(string Kind, string Name)
{
    /// <summary>Kubernetes numbers a CronJob's Jobs by the minute they are for; dates (20260131) are not among these.</summary>
    private const int FirstMinute = 25_000_000;

    /// <summary>It runs to an end.</summary>
    public bool Ends => Kind is "Job" or "CronJob";

    /// <summary>From the pod's owner, without what Kubernetes puts behind names; else from its own name.</summary>
    public static Workload Of(JsonObject pod)
    {
        var meta = pod.Object("metadata");
        if (meta.Objects("ownerReferences").FirstOrDefault(o => o.Flag("controller")) is { } owner && owner.Text("kind") is { Length: > 0 } kind && owner.Text("name") is { Length: > 0 } name)
        {
            return kind switch
            {
                "ReplicaSet" when meta.Texts("labels").GetValueOrDefault("pod-template-hash") is { Length: > 0 } hash && name.EndsWith("-" + hash, StringComparison.Ordinal) && name.Length > hash.Length + 1 =>
                    new("Deployment", name[..^(hash.Length + 1)]),
                "Job" when name.Length > 9 && name[^9] == '-' && int.TryParse(name.AsSpan(name.Length - 8), NumberStyles.None, CultureInfo.InvariantCulture, out var minute) && minute >= FirstMinute =>
                    new("CronJob", name[..^9]),
                _ => new(kind, name),
            };
        }

        // Before it has a name it has the beginning of one.
        return new("Pod", meta.Text("name") is { Length: > 0 } own ? own : meta.Text("generateName")?.TrimEnd('-', '.') ?? string.Empty);
    }
}
