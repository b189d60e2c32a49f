using System.Text.Json.Nodes;

namespace Mesh.Testing.Kubernetes.Ownership;

/// <summary>Server-side apply: the caller says all that it wants; what others own is refused or, by force, taken.</summary>
internal static class ServerSideApply
{
    public static JsonObject Apply(ApiRequest request, KubeResource resource, JsonObject? old, JsonObject wanted, string now)
    {
        var shape = MergeShape.Of(resource, request.Version);
        var apiVersion = resource.ApiVersion(request.Version);
        var isStatus = request.Subresource == "status";
        var applied = Meant(resource, wanted, isStatus);
        var fields = FieldTree.OfObject(applied, shape);
        var live = old ?? new JsonObject { ["apiVersion"] = apiVersion, ["kind"] = resource.Kind };
        var owners = ManagedFields.Read(old);
        var mine = owners.Find(o => o.IsSame(request.FieldManager, "Apply", apiVersion, request.Subresource));
        var others = owners.Where(o => o != mine).ToList();

        var merged = (JsonObject)Merge(live, applied, shape)!;
        var (changed, _) = FieldTree.Compare(live, merged, shape);
        var disputed = others.Select(o => (Owner: o, Fields: o.Fields.Both(changed))).Where(d => !d.Fields.IsEmpty).ToList();
        if (disputed.Count > 0 && !request.Flag("force"))
        {
            throw Conflict([.. disputed.SelectMany(d => d.Fields.Paths().Select(path => (d.Owner.ToString(), path)))]);
        }

        others = [.. others.Select(o => o with { Fields = o.Fields.Without(o.Fields.Both(changed)) })];
        if (mine is not null)
        {
            // What the caller wanted before and wants no more goes, unless someone else wants it too.
            var kept = others.Aggregate(fields, (all, o) => all.Union(o.Fields));
            Remove(merged, mine.Fields, kept, shape);
        }

        var isSame = mine is not null && JsonNode.DeepEquals(mine.Fields.ToJson(), fields.ToJson());
        var entry = new FieldOwner(request.FieldManager, "Apply", apiVersion, request.Subresource, isSame && JsonNode.DeepEquals(FieldTree.Stripped(merged), FieldTree.Stripped(live)) ? mine!.Time : now, fields);
        ManagedFields.Write(merged, mine is null ? [.. others, entry] : owners.Select(o => o == mine ? entry : others.First(other => other.IsSame(o.Manager, o.Operation, o.ApiVersion, o.Subresource))));
        if (wanted.Text("metadata", "resourceVersion") is { Length: > 0 } version)
        {
            merged.Meta()["resourceVersion"] = version;
        }

        return merged;
    }

    /// <summary>Without the part that this endpoint does not write, and without the server's own fields.</summary>
    private static JsonObject Meant(KubeResource resource, JsonObject wanted, bool isStatus)
    {
        var applied = wanted.Copy();
        foreach (var name in (string[])["uid", "creationTimestamp", "generation", "resourceVersion", "managedFields", "selfLink", "deletionTimestamp"])
        {
            (applied["metadata"] as JsonObject)?.Remove(name);
        }

        if (isStatus)
        {
            foreach (var name in applied.Select(p => p.Key).Where(n => n is not ("apiVersion" or "kind" or "metadata" or "status")).ToList())
            {
                applied.Remove(name);
            }

            applied["metadata"] = new JsonObject { ["name"] = wanted.Name() };
            if (resource.Namespaced)
            {
                applied.Meta()["namespace"] = wanted.Namespace();
            }
        }
        else if (resource.HasStatus)
        {
            applied.Remove("status");
        }

        return applied;
    }

    private static JsonNode? Merge(JsonNode? live, JsonNode? applied, MergeShape shape)
    {
        switch (applied, live)
        {
            case (JsonObject wanted, JsonObject there) when !shape.IsAtomicMap:
                var map = there.Copy();
                foreach (var (name, value) in wanted)
                {
                    map[name] = Merge(there[name], value, shape.Field(name));
                }

                return map;
            case (JsonArray wanted, JsonArray there) when shape.List != ListMerge.Atomic:
                var list = (JsonArray)there.DeepClone();
                foreach (var item in wanted)
                {
                    if (shape.IndexOf(list, item) is >= 0 and var at)
                    {
                        list[at] = shape.List == ListMerge.Map ? Merge(list[at], item, shape.Item) : item?.DeepClone();
                    }
                    else
                    {
                        list.Add(item?.DeepClone());
                    }
                }

                return list;
            default:
                return applied?.DeepClone();
        }
    }

    private static void Remove(JsonNode? json, FieldTree owned, FieldTree? kept, MergeShape shape)
    {
        if (json is JsonObject map)
        {
            foreach (var (element, inner) in owned.Inside.Where(p => p.Key.StartsWith("f:", StringComparison.Ordinal)))
            {
                var name = element[2..];
                var keptInner = kept?[element];
                Remove(map[name], inner, keptInner, shape.Field(name));
                if (keptInner is null && (inner.IsOwned || map[name] is JsonObject { Count: 0 } or JsonArray { Count: 0 }))
                {
                    map.Remove(name);
                }
            }
        }
        else if (json is JsonArray list && shape.List != ListMerge.Atomic)
        {
            for (var i = list.Count - 1; i >= 0; i--)
            {
                var element = FieldTree.ItemElement(shape, list[i]);
                if (owned[element] is { } inner)
                {
                    if (inner.IsOwned && kept?[element] is null)
                    {
                        list.RemoveAt(i);
                    }
                    else
                    {
                        Remove(list[i], inner, kept?[element], shape.Item);
                    }
                }
            }
        }
    }

    private static StatusException Conflict(IReadOnlyList<(string Owner, string Path)> conflicts)
    {
        var causes = new JsonArray([.. conflicts.Select(c => new JsonObject { ["reason"] = "FieldManagerConflict", ["message"] = $"conflict with {c.Owner}", ["field"] = c.Path })]);
        var text = conflicts.Count == 1
            ? $"Apply failed with 1 conflict: conflict with {conflicts[0].Owner}: {conflicts[0].Path}"
            : $"Apply failed with {conflicts.Count} conflicts: {string.Join('\n', conflicts.GroupBy(c => c.Owner).Select(g => g.Count() == 1 ? $"conflict with {g.Key}: {g.First().Path}" : $"conflicts with {g.Key}:\n{string.Join('\n', g.Select(c => $"- {c.Path}"))}"))}";
        return new StatusException(409, "Conflict", text, new JsonObject { ["causes"] = causes });
    }
}
