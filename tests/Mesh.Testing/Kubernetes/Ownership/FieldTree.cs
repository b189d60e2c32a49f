using System.Text.Json.Nodes;

namespace Mesh.Testing.Kubernetes.Ownership;

/// <summary>A set of fields, as FieldsV1 writes it: <c>f:</c> a field, <c>k:</c> an item by its keys, <c>v:</c> an item of a set.</summary>
internal sealed class FieldTree
{
    private readonly SortedDictionary<string, FieldTree> _inside = new(StringComparer.Ordinal);

    /// <summary>The place itself is in the set, not only what lies in it.</summary>
    public bool IsOwned { get; private set; }

    public bool IsEmpty => !IsOwned && _inside.Count == 0;

    public IEnumerable<KeyValuePair<string, FieldTree>> Inside => _inside;

    public FieldTree? this[string element] => _inside.GetValueOrDefault(element);

    public static string FieldElement(string name) => "f:" + name;

    public static string ItemElement(MergeShape shape, JsonNode? item)
    {
        if (shape.List == ListMerge.Set)
        {
            return "v:" + (item?.ToJsonString(KubeJson.Options) ?? "null");
        }

        var keys = new JsonObject();
        foreach (var key in shape.Keys.Order(StringComparer.Ordinal))
        {
            keys[key] = shape.KeyOf(item, key)?.DeepClone();
        }

        return "k:" + keys.ToJsonString(KubeJson.Options);
    }

    /// <summary>Every field of a value, without those that the server itself writes.</summary>
    public static FieldTree OfObject(JsonObject json, MergeShape shape) => Of(Stripped(json), shape);

    public static FieldTree Of(JsonNode? value, MergeShape shape)
    {
        var tree = new FieldTree();
        switch (value)
        {
            case JsonObject { Count: > 0 } map when !shape.IsAtomicMap:
                foreach (var (name, inner) in map)
                {
                    tree.Put(FieldElement(name), Of(inner, shape.Field(name)));
                }

                break;
            case JsonArray { Count: > 0 } list when shape.List != ListMerge.Atomic:
                foreach (var item in list)
                {
                    var inner = shape.List == ListMerge.Map ? Of(item, shape.Item) : new FieldTree();
                    inner.IsOwned = true;
                    tree.Put(ItemElement(shape, item), inner);
                }

                break;
            default:
                tree.IsOwned = true;
                break;
        }

        return tree;
    }

    /// <summary>What was added or has another value, and what is gone.</summary>
    public static (FieldTree Changed, FieldTree Removed) Compare(JsonObject old, JsonObject json, MergeShape shape)
    {
        var (changed, removed) = (new FieldTree(), new FieldTree());
        Compare(Stripped(old), Stripped(json), shape, changed, removed);
        changed.Prune();
        removed.Prune();
        return (changed, removed);
    }

    /// <summary>As apply configurations and owned sets see an object.</summary>
    public static JsonObject Stripped(JsonObject json)
    {
        var copy = json.Copy();
        copy.Remove("apiVersion");
        copy.Remove("kind");
        if (copy["metadata"] is JsonObject metadata)
        {
            foreach (var name in (string[])["name", "namespace", "uid", "creationTimestamp", "generation", "resourceVersion", "managedFields", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"])
            {
                metadata.Remove(name);
            }

            if (metadata.Count == 0)
            {
                copy.Remove("metadata");
            }
        }

        return copy;
    }

    public static FieldTree Parse(JsonNode? fields)
    {
        var tree = new FieldTree();
        if (fields is not JsonObject { Count: > 0 } map)
        {
            tree.IsOwned = true;
            return tree;
        }

        foreach (var (element, inner) in map)
        {
            if (element == ".")
            {
                tree.IsOwned = true;
            }
            else
            {
                tree._inside[element] = Parse(inner);
            }
        }

        return tree;
    }

    public JsonObject ToJson()
    {
        var json = new JsonObject();
        if (IsOwned && _inside.Count > 0)
        {
            json["."] = new JsonObject();
        }

        foreach (var (element, inner) in _inside)
        {
            json[element] = inner.ToJson();
        }

        return json;
    }

    public FieldTree Union(FieldTree other)
    {
        var tree = new FieldTree { IsOwned = IsOwned || other.IsOwned };
        foreach (var (element, inner) in _inside)
        {
            tree._inside[element] = other[element] is { } theirs ? inner.Union(theirs) : inner;
        }

        foreach (var (element, inner) in other._inside.Where(p => !_inside.ContainsKey(p.Key)))
        {
            tree._inside[element] = inner;
        }

        return tree;
    }

    public FieldTree Without(FieldTree other)
    {
        var tree = new FieldTree { IsOwned = IsOwned && !other.IsOwned };
        foreach (var (element, inner) in _inside)
        {
            tree.Put(element, other[element] is { } theirs ? inner.Without(theirs) : inner);
        }

        return tree;
    }

    public FieldTree Both(FieldTree other)
    {
        var tree = new FieldTree { IsOwned = IsOwned && other.IsOwned };
        foreach (var (element, inner) in _inside)
        {
            if (other[element] is { } theirs)
            {
                tree.Put(element, inner.Both(theirs));
            }
        }

        return tree;
    }

    /// <summary>Each owned place, as conflicts name it: <c>.spec.containers[name="a"].image</c>.</summary>
    public IEnumerable<string> Paths(string before = "")
    {
        if (IsOwned)
        {
            yield return before;
        }

        foreach (var (element, inner) in _inside)
        {
            foreach (var path in inner.Paths(before + Readable(element)))
            {
                yield return path;
            }
        }
    }

    private static string Readable(string element) => element[..2] switch
    {
        "f:" => "." + element[2..],
        "k:" => $"[{string.Join(',', JsonNode.Parse(element[2..])!.AsObject().Select(p => $"{p.Key}={p.Value?.ToJsonString() ?? "null"}"))}]",
        _ => $"[={element[2..]}]",
    };

    private static void Compare(JsonNode? old, JsonNode? json, MergeShape shape, FieldTree changed, FieldTree removed)
    {
        if (old is JsonObject { Count: > 0 } oldMap && json is JsonObject { Count: > 0 } newMap && !shape.IsAtomicMap)
        {
            foreach (var name in oldMap.Select(p => p.Key).Union(newMap.Select(p => p.Key)))
            {
                Compare(FieldElement(name), oldMap.ContainsKey(name), oldMap[name], newMap.ContainsKey(name), newMap[name], shape.Field(name));
            }
        }
        else if (old is JsonArray { Count: > 0 } oldList && json is JsonArray { Count: > 0 } newList && shape.List != ListMerge.Atomic)
        {
            foreach (var item in newList)
            {
                var at = shape.IndexOf(oldList, item);
                Compare(ItemElement(shape, item), at >= 0, at >= 0 ? oldList[at] : null, true, item, shape.Item, isItem: true);
            }

            foreach (var item in oldList.Where(item => shape.IndexOf(newList, item) < 0))
            {
                Compare(ItemElement(shape, item), true, item, false, null, shape.Item, isItem: true);
            }
        }
        else if (!JsonNode.DeepEquals(old, json))
        {
            changed.Merge(Of(json, shape));
            removed.Merge(Of(old, shape).Without(Of(json, shape)));
        }

        void Compare(string element, bool was, JsonNode? before, bool isNow, JsonNode? after, MergeShape inner, bool isItem = false)
        {
            var (inChanged, inRemoved) = (changed.Inner(element), removed.Inner(element));
            if (was && isNow)
            {
                FieldTree.Compare(before, after, inner, inChanged, inRemoved);
            }
            else if (isNow)
            {
                inChanged.Merge(Of(after, inner));
                inChanged.IsOwned |= isItem;
            }
            else
            {
                inRemoved.Merge(Of(before, inner));
                inRemoved.IsOwned |= isItem;
            }
        }
    }

    private FieldTree Inner(string element)
    {
        if (!_inside.TryGetValue(element, out var inner))
        {
            _inside[element] = inner = new FieldTree();
        }

        return inner;
    }

    private void Merge(FieldTree other)
    {
        IsOwned |= other.IsOwned;
        foreach (var (element, inner) in other._inside)
        {
            Inner(element).Merge(inner);
        }
    }

    private void Prune()
    {
        foreach (var (element, inner) in _inside.ToList())
        {
            inner.Prune();
            if (inner.IsEmpty)
            {
                _inside.Remove(element);
            }
        }
    }

    private void Put(string element, FieldTree inner)
    {
        if (!inner.IsEmpty)
        {
            _inside[element] = inner;
        }
    }
}
