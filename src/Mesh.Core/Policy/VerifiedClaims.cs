using System.Text.Json;

namespace Mesh.Policy;

/// <summary>What the verified tokens of one request say, by the key that their provider is told to write them under (xDS jwt_authn, <c>payload_in_metadata</c>). Immutable and thread-safe.</summary>
internal sealed class VerifiedClaims(IReadOnlyDictionary<string, JsonElement> payloads)
{
    /// <summary>The metadata namespace under which RBAC rules ask for claims.</summary>
    public const string Filter = "envoy.filters.http.jwt_authn";

    public static VerifiedClaims None { get; } = new(new Dictionary<string, JsonElement>());

    /// <summary>Payloads by provider key.</summary>
    public IReadOnlyDictionary<string, JsonElement> Payloads => payloads;

    /// <summary>The value at a path: provider key, then claim, then members of objects. Null when something on the way is missing.</summary>
    public JsonElement? Find(IReadOnlyList<string> path)
    {
        if (path.Count == 0 || !payloads.TryGetValue(path[0], out var value))
        {
            return null;
        }

        for (var i = 1; i < path.Count; i++)
        {
            if (value.ValueKind != JsonValueKind.Object || !value.TryGetProperty(path[i], out value))
            {
                return null;
            }
        }

        return value;
    }
}
