using System.Text.Json.Nodes;

namespace Mesh.Testing.Kubernetes.Ownership;

/// <summary>One owner of fields, an entry of metadata.managedFields.</summary>
internal sealed record FieldOwner(string Manager, string Operation, string ApiVersion, string Subresource, string Time, FieldTree Fields)
{
    public bool IsSame(string manager, string operation, string apiVersion, string subresource) =>
        Manager == manager && Operation == operation && Subresource == subresource && (operation == "Apply" || ApiVersion == apiVersion);

    /// <summary>As conflicts name an owner.</summary>
    public override string ToString() =>
        $"\"{Manager}\"{(Subresource == "" ? "" : $" with subresource \"{Subresource}\"")} using {ApiVersion}{(Operation == "Update" && Time != "" ? $" at {Time}" : "")}";
}

/// <summary>Who owns which field: read, told of writes, written.</summary>
internal static class ManagedFields
{
    public static List<FieldOwner> Read(JsonObject? json) =>
    [
        .. json.Items("metadata", "managedFields").Where(e => e.Text("manager") != "").Select(e => new FieldOwner(
            e.Text("manager"), e.Text("operation"), e.Text("apiVersion"), e.Text("subresource"), e.Text("time"), FieldTree.Parse(e.At("fieldsV1")))),
    ];

    public static void Write(JsonObject json, IEnumerable<FieldOwner> owners)
    {
        var list = new JsonArray();
        foreach (var owner in owners.Where(o => !o.Fields.IsEmpty))
        {
            var entry = new JsonObject
            {
                ["manager"] = owner.Manager,
                ["operation"] = owner.Operation,
                ["apiVersion"] = owner.ApiVersion,
                ["time"] = owner.Time,
                ["fieldsType"] = "FieldsV1",
                ["fieldsV1"] = owner.Fields.ToJson(),
            };
            if (owner.Subresource != "")
            {
                entry["subresource"] = owner.Subresource;
            }

            list.Add(entry);
        }

        json.Meta().Remove("managedFields");
        if (list.Count > 0)
        {
            json.Meta()["managedFields"] = list;
        }
    }

    /// <summary>A write that was not an apply: its writer owns what it changed, and nobody owns what is gone.</summary>
    public static void Record(ApiRequest request, KubeResource resource, JsonObject? old, JsonObject json, string now)
    {
        var shape = MergeShape.Of(resource, resource.StorageVersion);
        // An emptied list in the body is how a client forgets all owners.
        var forgets = old is not null && json.At("metadata", "managedFields") is JsonArray sent && (sent.Count == 0 || (sent.Count == 1 && sent[0] is JsonObject { Count: 0 }));
        var owners = forgets ? [] : Read(old);
        var (changed, removed) = old is null ? (FieldTree.OfObject(json, shape), new FieldTree()) : FieldTree.Compare(old, json, shape);
        if (changed.IsEmpty && removed.IsEmpty)
        {
            Write(json, owners);
            return;
        }

        var apiVersion = resource.ApiVersion(request.Version);
        var subresource = request.Subresource;
        var mine = owners.Find(o => o.IsSame(request.FieldManager, "Update", apiVersion, subresource));
        var others = owners.Where(o => o != mine).Select(o => o with { Fields = o.Fields.Without(changed).Without(removed) });
        var fields = (mine?.Fields ?? new FieldTree()).Union(changed).Without(removed);
        Write(json, [.. others, new FieldOwner(request.FieldManager, "Update", apiVersion, subresource, now, fields)]);
    }
}
