using System.Text.Json.Nodes;

namespace Mesh.ControlPlane.Injector;

/// <summary>Collects changes to a document as a JSON patch (RFC 6902), of operations <c>add</c> alone, and makes them on a copy at once so that each is said of what those before left.</summary>
internal sealed class JsonPatch(JsonObject document)
{
    private readonly JsonArray _operations = [];

    /// <summary>The document with all changes so far.</summary>
    public JsonObject Document { get; } = (JsonObject)document.DeepClone();

    public JsonArray Operations => _operations;

    /// <summary>Adds a member, or takes the place of one; objects on the way to it are made.</summary>
    public void Set(JsonNode value, params ReadOnlySpan<string> path)
    {
        var at = Document;
        var pointer = string.Empty;
        for (var i = 0; i < path.Length - 1; i++)
        {
            pointer += '/' + Escaped(path[i]);
            if (at[path[i]] is JsonObject next)
            {
                at = next;
                continue;
            }

            Add(pointer, new JsonObject());
            at[path[i]] = next = [];
            at = next;
        }

        Add($"{pointer}/{Escaped(path[^1])}", value);
        at[path[^1]] = value.DeepClone();
    }

    /// <summary>Puts an item into a list, which is made when there is none.</summary>
    /// <param name="owner">The object that has the list: one of <see cref="Document"/>.</param>
    /// <param name="pointer">Where it stands.</param>
    /// <param name="index">Null: at the end.</param>
    public void Insert(JsonObject owner, string pointer, string list, JsonNode item, int? index = null)
    {
        if (owner[list] is not JsonArray items)
        {
            Add($"{pointer}/{Escaped(list)}", new JsonArray(item.DeepClone()));
            owner[list] = new JsonArray(item.DeepClone());
            return;
        }

        Add($"{pointer}/{Escaped(list)}/{(index is { } at ? at.ToString(System.Globalization.CultureInfo.InvariantCulture) : "-")}", item);
        items.Insert(index ?? items.Count, item.DeepClone());
    }

    private void Add(string pointer, JsonNode value) => _operations.Add(new JsonObject { ["op"] = "add", ["path"] = pointer, ["value"] = value.DeepClone() });

    // RFC 6901 §3.
    private static string Escaped(string name) => name.Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal);
}
