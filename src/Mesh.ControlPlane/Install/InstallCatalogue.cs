using System.Collections.Immutable;
using System.Globalization;
using System.Reflection;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Mesh.ControlPlane.Model.Policies;
using Mesh.ControlPlane.Sources.Manifests;
using Mesh.ControlPlane.Sources.Manifests.Policies;

namespace Mesh.ControlPlane.Install;

/// <summary>Everything that can be set when the mesh is installed, in the order of docs/kubernetes.md. Another one is a line here and its use in <see cref="InstallManifest"/>.</summary>
internal static partial class InstallCatalogue
{
    /// <summary>Of this program: what is installed unless another version is named.</summary>
    public static string OwnVersion { get; } =
        typeof(InstallCatalogue).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0];

    public static ImmutableArray<InstallValue> All { get; } =
    [
        Text("version", OwnVersion, "Tag of both images") with { Problem = t => Version().IsMatch(t) ? null : "Use a version such as 1.4.0." },
        Text("registry", "", "Stands before the names of both images, such as registry.example.com/mesh") with { Problem = t => t.Length == 0 || Registry().IsMatch(t) ? null : "Use a registry, with a path if need be, without scheme and tag." },
        new("imagePullSecrets", InstallValueType.Texts, new JsonArray(), "Secrets of mesh-system to pull the control plane's image with") { Problem = Name },
        new("ha", InstallValueType.Flag, false, "Highly available: what stands in the column HA is the default then, and replicas never share a node"),
        Text("trustDomain", "cluster.local", "Trust domain of all identities") with { Problem = t => Spiffe.TrustDomain.TryParse(t, out _, out var why) ? null : why },
        Text("clusterDomain", "cluster.local", "The cluster's DNS domain") with { Problem = t => Uri.CheckHostName(t) == UriHostNameType.Dns ? null : "Use a DNS name such as cluster.local." },
        new("clusterNetworks", InstallValueType.Texts, new JsonArray(), "What access modes cluster-… mean, CIDRs; empty: private addresses") { Problem = t => ListFields.Cidr(t, out var why) is null ? why : null },
        Number("controlPlane.replicas", 1, 1, 99, "Replicas of the control plane") with { HaDefault = 3 },
        Text("controlPlane.image", "mesh-control-plane", "Name of its image") with { Problem = Image },
        Words("controlPlane.imagePullPolicy", "IfNotPresent", "When its image is pulled", "Always", "IfNotPresent", "Never"),
        Text("controlPlane.address", "0.0.0.0", "Where it listens; \"::\" in a cluster without IPv4") with { Problem = t => Names.AddressSpellingProblem(t) },
        Quantity("controlPlane.cpuRequest", "100m", "CPU that is kept free for it"),
        Quantity("controlPlane.cpuLimit", "", "CPU that it never exceeds; empty: no limit, for a throttled control plane is late"),
        Quantity("controlPlane.memoryRequest", "256Mi", "Memory that is kept free for it"),
        Quantity("controlPlane.memoryLimit", "1Gi", "Memory at which it is ended; empty: no limit"),
        new("controlPlane.nodeSelector", InstallValueType.Map, new JsonObject { ["kubernetes.io/os"] = "linux" }, "Labels of the nodes it may run on"),
        new("controlPlane.tolerations", InstallValueType.Objects, new JsonArray(), "Taints of nodes that it tolerates, as in a Pod"),
        Text("controlPlane.priorityClassName", "", "Its priority class") with { Problem = t => t.Length == 0 ? null : Name(t) },
        new("controlPlane.podAnnotations", InstallValueType.Map, new JsonObject(), "Further annotations of its pods"),
        Text("identity.leafLife", "24h", "Life of workload certificates, 10s–90d") with { Problem = LeafLife },
        Words("identity.caKey", "p256", "Keys of the own authority", "p256", "p384"),
        Text("identity.issuerSecret", "mesh-issuer", "Secret (kubernetes.io/tls with ca.crt) of mesh-system with an issuer signed elsewhere; while there is none the mesh has an own root") with { Problem = Name },
        Words("policy.mtls", "permissive", "Whether ports take plaintext where no ServerPolicy says it", "permissive", "strict"),
        Words("policy.access", "all-unauthenticated", "Who may call where no policy says it", [.. AccessModes.Words]),
        Words("webhooks.failurePolicy", "Ignore", "What becomes of pods and policies while no replica answers: let in as they are, or refused", "Ignore", "Fail") with { HaDefault = "Fail" },
        Number("webhooks.timeoutSeconds", 10, 1, 30, "How long the API server waits for the webhooks"),
        new("injector.excludedNamespaces", InstallValueType.Texts, new JsonArray(), "Namespaces in which nothing is injected, beside kube-system, kube-public, kube-node-lease and mesh-system") { Problem = t => Names.IsLabel(t) ? null : Names.LabelRule },
        new("networkPolicy.enabled", InstallValueType.Flag, true, "A NetworkPolicy that leaves only the control plane's three ports open"),
        Words("telemetry.storage", "memory", "Where measurements are kept: in memory, or on a volume: of one replica on a claim that lasts, of more on one each that goes with its pod", "memory", "disk"),
        Quantity("telemetry.volumeSize", "1Gi", "Size of that volume"),
        Text("telemetry.storageClass", "", "Its storage class; empty: the cluster's default") with { Problem = t => t.Length == 0 ? null : Name(t) },
        Number("telemetry.maxMegabytes", 64, 8, 65_536, "What measurements take at most; older ones make room"),
        Text("telemetry.prometheus", "", "URL of a Prometheus server that scrapes the workloads: it is asked in place of what the replicas keep") with { Problem = t => t.Length == 0 || (Uri.TryCreate(t, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https") ? null : "Use a URL such as http://prometheus.monitoring:9090." },
        .. ProxyValues.All,
    ];

    public static InstallValue? Find(string path) => All.FirstOrDefault(v => v.Path == path);

    internal static InstallValue Text(string path, string standard, string description) => new(path, InstallValueType.Text, standard, description);

    internal static InstallValue Number(string path, long standard, long min, long max, string description) => new(path, InstallValueType.Number, standard, description)
    {
        Problem = t => long.Parse(t, CultureInfo.InvariantCulture) is var n && n >= min && n <= max ? null : $"Use {min}–{max}.",
    };

    internal static InstallValue Quantity(string path, string standard, string description) => Text(path, standard, description) with
    {
        Problem = t => t.Length == 0 || QuantityText().IsMatch(t) ? null : "Use a quantity such as 100m, 0.5, 64Mi or 1Gi.",
    };

    internal static InstallValue Words(string path, string standard, string description, params string[] words) => Text(path, standard, description) with
    {
        Problem = t => Array.IndexOf(words, t) >= 0 ? null : $"Use {string.Join(", ", words[..^1])} or {words[^1]}.{Suggestion.For(t, words)}",
    };

    private static string? Name(string text) => Names.IsSubdomain(text) ? null : Names.SubdomainRule;

    private static string? Image(string text) => ImageName().IsMatch(text) ? null : "Use an image's name without registry and tag.";

    private static string? LeafLife(string text)
    {
        if (LifeText().Match(text) is not { Success: true } match)
        {
            return "Use a time such as 30m, 24h or 7d.";
        }

        var seconds = double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) * match.Groups[2].Value switch { "s" => 1, "m" => 60, "h" => 3600, _ => 86_400 };
        return seconds is >= 10 and <= 90 * 86_400 ? null : "Use 10s–90d.";
    }

    [GeneratedRegex(@"\A[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?\z")]
    private static partial Regex Version();

    [GeneratedRegex(@"\A[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]([a-z0-9._-]*[a-z0-9])?)*/?\z")]
    private static partial Regex Registry();

    [GeneratedRegex(@"\A[a-z0-9]([a-z0-9._/-]*[a-z0-9])?\z")]
    private static partial Regex ImageName();

    [GeneratedRegex(@"\A[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?\z")]
    private static partial Regex QuantityText();

    [GeneratedRegex(@"\A([0-9]{1,7})(s|m|h|d)\z")]
    private static partial Regex LifeText();
}
