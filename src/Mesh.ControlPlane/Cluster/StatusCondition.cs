using System.Text.Json.Nodes;

namespace Mesh.ControlPlane.Cluster;

/// <summary>Writes a condition (meta/v1) but for its <c>lastTransitionTime</c>.</summary>
internal static class StatusCondition
{
    /// <summary>What the API server takes.</summary>
    private const int LongestMessage = 32_768;

    public static JsonNode Write(string type, string status, string reason, string message, long generation) => new JsonObject
    {
        ["type"] = type,
        ["status"] = status,
        ["reason"] = reason,
        ["message"] = message.Length <= LongestMessage ? message : message[..LongestMessage],
        ["observedGeneration"] = generation,
    };
}
