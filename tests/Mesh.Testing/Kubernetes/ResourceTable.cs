using System.Collections.Immutable;
using System.Text.Json.Nodes;

namespace Mesh.Testing.Kubernetes;

/// <summary>What the API serves now: built-in kinds, and one for every definition that is established.</summary>
internal sealed class ResourceTable
{
    private readonly Lock _lock = new();
    private ImmutableArray<KubeResource> _all = [.. BuiltInResources.All];

    public ImmutableArray<KubeResource> All => _all;

    public KubeResource? Find(string group, string version, string plural) =>
        _all.FirstOrDefault(r => r.Group == group && r.Plural == plural && r.Versions.Contains(version));

    public KubeResource? OfKind(string apiVersion, string kind)
    {
        var (group, version) = Split(apiVersion);
        return _all.FirstOrDefault(r => r.Group == group && r.Kind == kind && r.Versions.Contains(version));
    }

    public KubeResource BuiltIn(string group, string plural) => _all.First(r => r.Group == group && r.Plural == plural);

    public KubeResource? OfTable(string table) => _all.FirstOrDefault(r => r.Table == table && r.SharedGroup is null);

    public void Define(JsonObject definition)
    {
        var resource = FromDefinition(definition);
        lock (_lock)
        {
            _all = [.. _all.Where(r => !(r.IsCustom && r.Table == resource.Table)), resource];
        }
    }

    public void Forget(JsonObject definition)
    {
        var resource = FromDefinition(definition);
        lock (_lock)
        {
            _all = [.. _all.Where(r => !(r.IsCustom && r.Table == resource.Table))];
        }
    }

    public static (string Group, string Version) Split(string apiVersion) =>
        apiVersion.IndexOf('/', StringComparison.Ordinal) is > 0 and var at ? (apiVersion[..at], apiVersion[(at + 1)..]) : ("", apiVersion);

    public static KubeResource FromDefinition(JsonObject definition)
    {
        var spec = definition["spec"]!;
        var names = spec["names"]!;
        var versions = spec["versions"]!.AsArray().Select(v => v!.AsObject()).ToList();
        var kind = (string)names["kind"]!;
        return new KubeResource((string)spec["group"]!, (string)names["plural"]!, kind, (string?)spec["scope"] == "Namespaced")
        {
            Versions = [.. versions.Where(v => (bool?)v["served"] == true).Select(v => (string)v["name"]!).OrderDescending(VersionOrder.Instance)],
            StorageVersion = (string)versions.First(v => (bool?)v["storage"] == true)["name"]!,
            Singular = (string?)names["singular"] ?? kind.ToLowerInvariant(),
            ListKind = (string?)names["listKind"] ?? $"{kind}List",
            ShortNames = [.. (names["shortNames"] as JsonArray ?? []).Select(n => (string)n!)],
            Categories = [.. (names["categories"] as JsonArray ?? []).Select(n => (string)n!)],
            HasStatus = versions.Any(v => v["subresources"]?["status"] is not null),
            HasGeneration = true,
            Definition = (JsonObject)definition.DeepClone(),
        };
    }
}

/// <summary>v2 before v1 before v1beta2 before v1alpha1, as Kubernetes prefers versions.</summary>
internal sealed partial class VersionOrder : IComparer<string>
{
    public static VersionOrder Instance { get; } = new();

    public int Compare(string? x, string? y) => Rank(x!).CompareTo(Rank(y!));

    private static (int Stability, int Major, int Minor) Rank(string version)
    {
        var match = Pattern().Match(version);
        return !match.Success
            ? (-1, 0, 0)
            : (match.Groups[2].Value switch { "" => 2, "beta" => 1, _ => 0 }, Number(match.Groups[1].Value), Number(match.Groups[3].Value));

        static int Number(string text) => text == "" ? 0 : int.Parse(text, System.Globalization.CultureInfo.InvariantCulture);
    }

    [System.Text.RegularExpressions.GeneratedRegex("^v([0-9]+)(?:(alpha|beta)([0-9]+))?$")]
    private static partial System.Text.RegularExpressions.Regex Pattern();
}
