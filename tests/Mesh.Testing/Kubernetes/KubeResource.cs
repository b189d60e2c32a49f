using System.Text.Json.Nodes;

namespace Mesh.Testing.Kubernetes;

/// <summary>A kind of object that the API serves, built in or from a CustomResourceDefinition.</summary>
internal sealed record KubeResource(string Group, string Plural, string Kind, bool Namespaced)
{
    private static readonly string[] EveryVerb = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

    /// <summary>Served ones, the preferred first.</summary>
    public IReadOnlyList<string> Versions { get; init; } = ["v1"];

    /// <summary>The version that objects are kept in.</summary>
    public string StorageVersion { get; init; } = "v1";

    /// <summary>Where objects are kept, if another group shares them (the two kinds of Event).</summary>
    public string? SharedGroup { get; init; }

    public string Singular { get; init; } = "";

    public string ListKind { get; init; } = $"{Kind}List";

    public IReadOnlyList<string> ShortNames { get; init; } = [];

    public IReadOnlyList<string> Categories { get; init; } = [];

    public IReadOnlyList<string> Verbs { get; init; } = EveryVerb;

    /// <summary>Status is written apart from the rest.</summary>
    public bool HasStatus { get; init; }

    /// <summary>metadata.generation counts changes of what is asked for.</summary>
    public bool HasGeneration { get; init; }

    /// <summary>Subresources beyond status, for discovery.</summary>
    public IReadOnlyList<string> Subresources { get; init; } = [];

    /// <summary>The definition, of a custom resource.</summary>
    public JsonObject? Definition { get; init; }

    public bool IsCustom => Definition is not null;

    /// <summary>As refusals name it: <c>deployments.apps</c>, <c>pods</c>.</summary>
    public string Qualified => Group == "" ? Plural : $"{Plural}.{Group}";

    /// <summary>The table that holds its objects.</summary>
    public string Table => $"{SharedGroup ?? Group}/{Plural}";

    public string ApiVersion(string version) => Group == "" ? version : $"{Group}/{version}";

    /// <summary>What a version of a custom resource says of itself in the definition.</summary>
    public JsonObject? VersionOf(string version) =>
        (JsonObject?)(Definition?["spec"]?["versions"] as JsonArray)?.FirstOrDefault(v => (string?)v?["name"] == version);

    public JsonObject? SchemaOf(string version) => VersionOf(version)?["schema"]?["openAPIV3Schema"] as JsonObject;
}
