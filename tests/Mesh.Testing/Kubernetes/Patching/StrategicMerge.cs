using System.Text.Json.Nodes;
using Mesh.Testing.Kubernetes.Ownership;

namespace Mesh.Testing.Kubernetes.Patching;

/// <summary>A merge patch that knows which lists are maps by a key. Directives: $patch, $deleteFromPrimitiveList, $retainKeys; $setElementOrder is read past.</summary>
internal static class StrategicMerge
{
    private const string DeleteFrom = "$deleteFromPrimitiveList/";

    public static JsonObject Apply(JsonObject target, JsonObject patch, MergeShape shape)
    {
        if (patch.Text("$patch") == "replace")
        {
            var whole = patch.Copy();
            whole.Remove("$patch");
            return whole;
        }

        var result = target.Copy();
        if (patch["$retainKeys"] is JsonArray retained)
        {
            foreach (var name in result.Select(p => p.Key).Except(retained.Select(r => r.Text())).ToList())
            {
                result.Remove(name);
            }
        }

        foreach (var (name, value) in patch)
        {
            if (name.StartsWith(DeleteFrom, StringComparison.Ordinal))
            {
                var gone = value as JsonArray ?? [];
                var left = result.Items(name[DeleteFrom.Length..]).Where(item => !gone.Any(g => JsonNode.DeepEquals(g, item))).Select(KubeJson.Copy);
                result[name[DeleteFrom.Length..]] = new JsonArray([.. left]);
            }
            else if (!name.StartsWith('$'))
            {
                Set(result, name, value, shape.Field(name));
            }
        }

        return result;
    }

    private static void Set(JsonObject result, string name, JsonNode? value, MergeShape shape)
    {
        switch (value)
        {
            case null:
                result.Remove(name);
                break;
            case JsonObject map when map.Text("$patch") == "delete":
                result.Remove(name);
                break;
            case JsonObject map:
                result[name] = Apply(result[name] as JsonObject ?? [], map, shape);
                break;
            case JsonArray list when shape.List != ListMerge.Atomic:
                result[name] = Apply(result[name] as JsonArray ?? [], list, shape);
                break;
            default:
                result[name] = value.DeepClone();
                break;
        }
    }

    private static JsonArray Apply(JsonArray target, JsonArray patch, MergeShape shape)
    {
        var isWhole = patch.Any(item => item is JsonObject { Count: 1 } && item.Text("$patch") == "replace");
        var result = isWhole ? [] : (JsonArray)target.DeepClone();
        foreach (var item in patch.Where(item => !(isWhole && item.Text("$patch") == "replace")))
        {
            // The merge key of a patch is the first key alone.
            var at = shape.List == ListMerge.Set ? shape.IndexOf(result, item) : IndexByFirstKey(result, item, shape.Keys[0]);
            if (item.Text("$patch") == "delete")
            {
                if (at >= 0)
                {
                    result.RemoveAt(at);
                }
            }
            else if (at < 0)
            {
                result.Add(item?.DeepClone());
            }
            else if (item is JsonObject map)
            {
                result[at] = Apply((JsonObject)result[at]!, map, shape.Item);
            }
        }

        return result;
    }

    private static int IndexByFirstKey(JsonArray list, JsonNode? item, string key)
    {
        for (var i = 0; i < list.Count; i++)
        {
            if (JsonNode.DeepEquals(list[i].At(key), item.At(key)))
            {
                return i;
            }
        }

        return -1;
    }
}
