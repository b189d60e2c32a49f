using System.Text.Json.Nodes;

namespace Mesh.Testing.Kubernetes.Storage;

/// <summary>One object under several names: versions of a definition (nothing but apiVersion differs), and the two kinds of Event.</summary>
internal static class Conversion
{
    private static readonly (string Core, string Events)[] EventFields =
    [
        ("involvedObject", "regarding"), ("message", "note"), ("reportingComponent", "reportingController"), ("count", "deprecatedCount"),
        ("firstTimestamp", "deprecatedFirstTimestamp"), ("lastTimestamp", "deprecatedLastTimestamp"), ("source", "deprecatedSource"),
    ];

    /// <summary>A copy as the given version of the resource shows it.</summary>
    public static JsonObject To(KubeResource resource, string version, JsonObject stored)
    {
        var json = stored.Copy();
        json["apiVersion"] = resource.ApiVersion(version);
        if (resource.Group == "events.k8s.io")
        {
            foreach (var (core, events) in EventFields)
            {
                Rename(json, core, events);
            }
        }

        return json;
    }

    /// <summary>A copy as it is kept.</summary>
    public static JsonObject From(KubeResource resource, string version, JsonObject shown)
    {
        _ = version;
        var json = shown.Copy();
        json["apiVersion"] = resource.SharedGroup is not null ? resource.StorageVersion : resource.ApiVersion(resource.StorageVersion);
        if (resource.Group == "events.k8s.io")
        {
            foreach (var (core, events) in EventFields)
            {
                Rename(json, events, core);
            }
        }

        return json;
    }

    private static void Rename(JsonObject json, string from, string to)
    {
        if (json[from] is { } value)
        {
            json.Remove(from);
            json[to] = value;
        }
    }
}
