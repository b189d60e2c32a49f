using System.Text.Json.Nodes;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Cluster;

/// <summary>One mark of an address without a Pod, as it stands in the ConfigMap: key <c>10.1.2.3_8080</c>, value <c>library spiffe://…</c>.</summary>
internal static class MarkEntry
{
    /// <summary>Keys have neither colons nor brackets; an IPv6 address has no underscore.</summary>
    public static string Key(string hostPort)
    {
        var colon = hostPort.LastIndexOf(':');
        return $"{hostPort[..colon].Trim('[', ']').Replace(':', '-')}_{hostPort[(colon + 1)..]}";
    }

    public static string Value(string id, bool sidecar) => $"{(sidecar ? MarkText.Sidecar : MarkText.Library)} {id}";

    public static bool TryRead(string key, JsonNode? value, out string hostPort, out string id, out bool sidecar)
    {
        (hostPort, id, sidecar) = (string.Empty, string.Empty, false);
        if (key.Split('_') is not [var address, var port] || value is not JsonValue text || !text.TryGetValue<string>(out var words)
            || words.Split(' ') is not [MarkText.Sidecar or MarkText.Library, _])
        {
            return false;
        }

        hostPort = address.Contains('-', StringComparison.Ordinal) ? $"[{address.Replace('-', ':')}]:{port}" : $"{address}:{port}";
        (id, sidecar) = (words.Split(' ')[1], words.StartsWith(MarkText.Sidecar, StringComparison.Ordinal));
        return true;
    }
}
