using System.Collections.Immutable;
using System.Reflection;
using System.Text.Json.Nodes;

namespace Mesh.ControlPlane.Install;

/// <summary>The manifests of <c>deploy/</c>, as they are embedded.</summary>
internal static class DeployFiles
{
    private const string Folder = "deploy/";
    private const string CrdFolder = Folder + "crds/";
    private static readonly Assembly Here = typeof(DeployFiles).Assembly;

    /// <summary>One per kind of <c>policy.meshlib.io</c>, by name.</summary>
    public static ImmutableArray<string> CrdNames { get; } =
        [.. Here.GetManifestResourceNames().Where(n => n.StartsWith(CrdFolder, StringComparison.Ordinal)).Order(StringComparer.Ordinal)];

    public static IEnumerable<JsonObject> Crds => CrdNames.Select(n => YamlJson.Parse(Text(n)).Single());

    /// <summary>The plural names of our kinds, as rules of access and webhooks name them.</summary>
    public static IEnumerable<string> Plurals => Crds.Select(c => c["spec"]!["names"]!["plural"]!.GetValue<string>());

    /// <param name="file">Such as <c>deployment.yaml</c>.</param>
    public static IReadOnlyList<JsonObject> Read(string file) => YamlJson.Parse(Text(Folder + file));

    /// <param name="name">Of the resource.</param>
    public static string Text(string name)
    {
        using var stream = Here.GetManifestResourceStream(name) ?? throw new InvalidOperationException($"{name} is not embedded.");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
