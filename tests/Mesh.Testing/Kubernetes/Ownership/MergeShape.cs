using System.Text.Json.Nodes;

namespace Mesh.Testing.Kubernetes.Ownership;

internal enum ListMerge
{
    /// <summary>One value: whoever writes it owns all of it.</summary>
    Atomic,

    /// <summary>Items are their own keys.</summary>
    Set,

    /// <summary>Items are told apart by some of their fields.</summary>
    Map,
}

/// <summary>How the values at one place of an object are merged and owned.</summary>
internal abstract class MergeShape
{
    public virtual ListMerge List => ListMerge.Atomic;

    /// <summary>The fields that tell items of a <see cref="ListMerge.Map"/> apart.</summary>
    public virtual IReadOnlyList<string> Keys => [];

    public virtual bool IsAtomicMap => false;

    /// <summary>Of the items of a list here.</summary>
    public virtual MergeShape Item => this;

    public abstract MergeShape Field(string name);

    /// <summary>The value of a key that an item does not have.</summary>
    public virtual JsonNode? KeyDefault(string key) => null;

    public static MergeShape Of(KubeResource resource, string version) =>
        resource.SchemaOf(version) is { } schema ? new SchemaShape(schema, "") : new BuiltInShape(resource.Kind, []);

    /// <summary>The item of a list that has the same keys, or -1.</summary>
    public int IndexOf(JsonArray list, JsonNode? item)
    {
        for (var i = 0; i < list.Count; i++)
        {
            if (List == ListMerge.Set ? JsonNode.DeepEquals(list[i], item) : Keys.All(key => JsonNode.DeepEquals(KeyOf(list[i], key), KeyOf(item, key))))
            {
                return i;
            }
        }

        return -1;
    }

    public JsonNode? KeyOf(JsonNode? item, string key) => item.At(key) ?? KeyDefault(key);
}

/// <summary>As a definition's schema says it: x-kubernetes-list-type, -list-map-keys, -map-type.</summary>
internal sealed class SchemaShape(JsonNode? schema, string place) : MergeShape
{
    public override ListMerge List => schema.Text("x-kubernetes-list-type") switch { "map" => ListMerge.Map, "set" => ListMerge.Set, _ => ListMerge.Atomic };

    public override IReadOnlyList<string> Keys => [.. schema.Texts("x-kubernetes-list-map-keys")];

    public override bool IsAtomicMap => schema.Text("x-kubernetes-map-type") == "atomic";

    public override MergeShape Item => new SchemaShape(schema.At("items"), place + "[]");

    public override MergeShape Field(string name) =>
        place == "" && name == "metadata" ? new BuiltInShape("", ["metadata"]) : new SchemaShape(schema.At("properties", name) ?? schema.At("additionalProperties"), $"{place}.{name}");

    public override JsonNode? KeyDefault(string key) => schema.At("items", "properties", key, "default");
}

/// <summary>As the built-in kinds have it, for the fields that a mesh and its tests write.</summary>
internal sealed class BuiltInShape(string kind, string[] path) : MergeShape
{
    private string Name => path.Length > 0 ? path[^1] : "";

    private string Parent => path.Length > 1 ? path[^2] : "";

    public override ListMerge List => Name switch
    {
        "finalizers" or "podCIDRs" => ListMerge.Set,
        _ => Keys.Count > 0 ? ListMerge.Map : ListMerge.Atomic,
    };

    public override IReadOnlyList<string> Keys => Name switch
    {
        "containers" or "initContainers" or "ephemeralContainers" or "volumes" or "env" or "webhooks" or "matchConditions" or "imagePullSecrets" or "resourceClaims" or "schedulingGates" => ["name"],
        "secrets" when kind == "ServiceAccount" => ["name"],
        "volumeMounts" => ["mountPath"],
        "volumeDevices" => ["devicePath"],
        "conditions" => ["type"],
        "ownerReferences" => ["uid"],
        "hostAliases" or "podIPs" or "hostIPs" => ["ip"],
        "topologySpreadConstraints" => ["topologyKey", "whenUnsatisfiable"],
        "addresses" when kind == "Node" => ["type"],
        "ports" when Parent is "containers" or "initContainers" or "ephemeralContainers" => ["containerPort", "protocol"],
        "ports" when kind == "Service" && Parent == "spec" => ["port", "protocol"],
        _ => [],
    };

    public override bool IsAtomicMap => Name is "selector" or "labelSelector" or "podSelector" or "namespaceSelector" or "objectSelector" or "nodeSelector" or "roleRef"
        or "fieldRef" or "resourceFieldRef" or "configMapKeyRef" or "secretKeyRef" or "configMapRef" or "secretRef" or "targetRef" or "involvedObject" or "scopeSelector" or "claimRef";

    /// <summary>Items stand at the same place: their fields' parent is the list.</summary>
    public override MergeShape Item => this;

    public override MergeShape Field(string name) => new BuiltInShape(kind, [.. path, name]);

    public override JsonNode? KeyDefault(string key) => key == "protocol" ? JsonValue.Create("TCP") : null;
}
