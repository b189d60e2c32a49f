using System.Text.Json.Nodes;

namespace Mesh.Cli.Cluster;

/// <summary>What a Pod says of its part in the mesh.</summary>
internal static class MeshedPods
{
    public const string Proxy = "mesh-proxy";

    /// <summary>It has a sidecar.</summary>
    public static bool IsInjected(JsonObject pod) => Container(pod) is not null;

    /// <summary>It is no Pod that has ended.</summary>
    public static bool Runs(JsonObject pod) => pod.Text("status", "phase") is not ("Succeeded" or "Failed");

    /// <summary>The sidecar, in whichever order it starts.</summary>
    public static JsonObject? Container(JsonObject pod) => pod.Each("spec", "containers").Concat(pod.Each("spec", "initContainers")).FirstOrDefault(c => c.Text("name") == Proxy);

    public static bool IsReady(JsonObject pod) => pod.Each("status", "containerStatuses").Concat(pod.Each("status", "initContainerStatuses"))
        .FirstOrDefault(s => s.Text("name") == Proxy)?["ready"]?.GetValueKind() == System.Text.Json.JsonValueKind.True;

    /// <summary>Of its sidecar: the tag of its image.</summary>
    public static string? Version(JsonObject pod) => Container(pod).Text("image") is { } image && image.LastIndexOf(':') is > 0 and var colon && !image[colon..].Contains('/', StringComparison.Ordinal) ? image[(colon + 1)..] : null;
}
