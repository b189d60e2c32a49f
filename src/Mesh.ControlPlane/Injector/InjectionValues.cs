using System.Collections.Immutable;
using System.Text.Json.Nodes;
using Mesh.ControlPlane.Sources.Manifests;

namespace Mesh.ControlPlane.Injector;

/// <summary>What the operator of a mesh set for all pods: what <c>mesh install</c> was given, as far as pods are concerned. Immutable.</summary>
internal sealed record InjectionValues
{
    /// <summary>Where webhooks must not reach in any case: the cluster would hang on itself.</summary>
    public static readonly ImmutableSortedSet<string> AlwaysExcluded = ["kube-node-lease", "kube-public", "kube-system"];

    private static readonly string[] Known = ["version", "registry", "namespace", "trustDomain", "clusterDomain", "proxy", "injector"];

    /// <summary>The mesh's version: the tag of its images.</summary>
    public string Version { get; init; } = typeof(InjectionValues).Assembly.GetName().Version!.ToString(3);

    /// <summary>Stands before the names of images; empty: none.</summary>
    public string Registry { get; init; } = string.Empty;

    public string ControlPlaneNamespace { get; init; } = "mesh-system";

    public string TrustDomain { get; init; } = "cluster.local";

    public string ClusterDomain { get; init; } = "cluster.local";

    /// <summary>Beside <see cref="AlwaysExcluded"/> and the control plane's own.</summary>
    public ImmutableSortedSet<string> ExcludedNamespaces { get; init; } = [];

    /// <summary>Where no annotation says otherwise.</summary>
    public SidecarSettings Sidecar { get; init; } = new();

    public string ControlPlane => $"https://mesh-control-plane.{ControlPlaneNamespace}.svc:15012";

    /// <summary>The sidecar's image, unless an annotation names another.</summary>
    public string Image => $"{(Registry.Length == 0 ? string.Empty : Registry.TrimEnd('/') + '/')}mesh-proxy:{Version}";

    /// <summary>
    /// Reads <c>version</c>, <c>registry</c>, <c>namespace</c>, <c>trustDomain</c>, <c>clusterDomain</c>, <c>injector.excludedNamespaces</c>, and below <c>proxy</c> what annotations set,
    /// under the annotation's name without <c>proxy-</c> in camel case: <c>proxy.logLevel</c>, <c>proxy.skipOutboundPorts</c>.
    /// </summary>
    /// <param name="values">May hold more, which is others'.</param>
    public static InjectionValues Read(JsonObject values, List<string> problems)
    {
        var read = new InjectionValues();
        read = read with
        {
            Version = Text("version") ?? read.Version,
            Registry = Text("registry") ?? read.Registry,
            ControlPlaneNamespace = Text("namespace") ?? read.ControlPlaneNamespace,
            TrustDomain = Text("trustDomain") ?? read.TrustDomain,
            ClusterDomain = Text("clusterDomain") ?? read.ClusterDomain,
            ExcludedNamespaces = [.. (values.Object("injector").Array("excludedNamespaces") ?? []).Select(n => n.AsText()).OfType<string>()],
        };
        var settings = read.Sidecar;
        foreach (var (name, value) in values.Object("proxy") ?? [])
        {
            settings = ReadSetting(name, value, settings, problems);
        }

        return read with { Sidecar = settings };

        string? Text(string name)
        {
            if (values[name] is not { } node)
            {
                return null;
            }

            if (node.AsText() is { Length: > 0 } text)
            {
                return text;
            }

            if (name != "registry")
            {
                problems.Add($"{name} is '{node.ToJsonString()}'. Use a text.");
            }

            return null;
        }
    }

    /// <summary>All names that <see cref="Read"/> knows, to find a misspelt one.</summary>
    public static IEnumerable<string> Names => [.. Known, .. SidecarSetting.All.Select(s => $"proxy.{s.ValueName}"), "injector.excludedNamespaces"];

    private static SidecarSettings ReadSetting(string name, JsonNode? value, SidecarSettings settings, List<string> problems)
    {
        if (SidecarSetting.All.FirstOrDefault(s => s.ValueName == name) is not { } setting)
        {
            problems.Add($"proxy.{name} is unknown.{Suggestion.For($"proxy.{name}", Names)}");
            return settings;
        }

        var text = value switch
        {
            null => null,
            JsonArray list when list.All(i => i is JsonValue) => string.Join(',', list.Select(i => i!.ToString())),
            JsonArray => value.ToJsonString(),
            _ => value.ToString(),
        };
        if (text is null)
        {
            return settings; // As a manifest leaves it out.
        }

        var after = setting.Apply(settings, text, out var problem);
        if (problem is not null)
        {
            problems.Add($"proxy.{name} is '{text}'. {problem}");
        }

        return after;
    }
}
