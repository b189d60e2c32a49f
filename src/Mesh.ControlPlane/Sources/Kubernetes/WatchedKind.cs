using System.Collections.Immutable;
using Mesh.ControlPlane.Sources.Manifests;

namespace Mesh.ControlPlane.Sources.Kubernetes;

/// <summary>A kind of object that the model is made from.</summary>
/// <param name="ApiVersions">Those that its reader knows, the preferred one first.</param>
internal sealed record WatchedKind(string Kind, ImmutableArray<string> ApiVersions)
{
    /// <summary>Of Kubernetes itself: always there, and newer servers may say more of it than we know.</summary>
    public string? Plural { get; init; }

    /// <summary>Only <c>metadata</c> is asked for.</summary>
    public bool MetadataOnly { get; init; }

    public bool IsCore => Plural is not null;
}

/// <summary>All of them: what the readers of manifests read, so that another policy is watched without a line here.</summary>
internal static class WatchedKinds
{
    private static readonly Dictionary<string, (string Plural, bool MetadataOnly)> Core = new(StringComparer.Ordinal)
    {
        ["Service"] = ("services", false),
        ["EndpointSlice"] = ("endpointslices", false),
        ["Pod"] = ("pods", false),
        [KubeNodeReader.Kind] = ("nodes", true),
        [NamespaceReader.Kind] = ("namespaces", true),
    };

    public static readonly ImmutableArray<WatchedKind> All =
    [
        .. ManifestParser.KnownVersions.Select(k => Core.TryGetValue(k.Kind, out var core)
            ? new WatchedKind(k.Kind, [.. k.ApiVersions]) { Plural = core.Plural, MetadataOnly = core.MetadataOnly }
            : new WatchedKind(k.Kind, [.. k.ApiVersions.OrderBy(v => v.EndsWith("/v1", StringComparison.Ordinal) ? 0 : 1)])),
    ];
}

/// <summary>Where the objects of a kind are.</summary>
/// <param name="Root">Such as <c>/apis/gateway.networking.k8s.io/v1</c>.</param>
/// <param name="Plural">Such as <c>httproutes</c>.</param>
internal sealed record KubeResource(string Root, string Plural)
{
    /// <summary>Of all namespaces.</summary>
    public string ListPath => $"{Root}/{Plural}";

    /// <param name="ns">Empty for what is in no namespace.</param>
    public string PathOf(string ns, string name) => ns.Length == 0 ? $"{ListPath}/{name}" : $"{Root}/namespaces/{ns}/{Plural}/{name}";

    public static string RootOf(string apiVersion) => apiVersion.Contains('/', StringComparison.Ordinal) ? $"/apis/{apiVersion}" : $"/api/{apiVersion}";
}
