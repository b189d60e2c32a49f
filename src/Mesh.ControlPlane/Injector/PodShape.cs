using System.Text.Json.Nodes;

namespace Mesh.ControlPlane.Injector;

/// <summary>What the injector needs to know of a pod.</summary>
internal sealed class PodShape(JsonObject pod)
{
    private static readonly string[] Probes = ["startupProbe", "readinessProbe", "livenessProbe"];

    public JsonObject? Spec { get; } = pod.Object("spec");

    public IReadOnlyDictionary<string, string> Annotations { get; } = pod.Object("metadata").Texts("annotations");

    public bool HostNetwork => Spec.Flag("hostNetwork");

    public bool IsWindows => Spec.Object("os").Text("name") == "windows"
        || Spec.Texts("nodeSelector") is var selector && (selector.GetValueOrDefault("kubernetes.io/os") ?? selector.GetValueOrDefault("beta.kubernetes.io/os")) == "windows";

    /// <summary>Those that run as long as the pod: the containers, and init containers that stay.</summary>
    public IEnumerable<(string List, int Index, JsonObject Container)> Apps =>
        All("initContainers").Where(c => c.Container.Text("restartPolicy") == "Always").Concat(All("containers"));

    public IEnumerable<(string List, int Index, JsonObject Container)> Everything => All("initContainers").Concat(All("containers"));

    /// <summary>TCP ports that containers say they have.</summary>
    public IEnumerable<int> TcpPorts => Ports().Where(p => p.Protocol == "TCP").Select(p => p.Number).Distinct();

    /// <summary>Ports that the mesh does not see.</summary>
    public IEnumerable<(int Number, string Protocol)> OtherPorts => Ports().Where(p => p.Protocol != "TCP").Distinct();

    /// <summary>The paths of what the node asks over plain HTTP or gRPC: probes, and hooks.</summary>
    public IEnumerable<string> ProbePaths
    {
        get
        {
            foreach (var (_, _, container) in Apps)
            {
                var asked = Probes.Select(p => container.Object(p)).Concat([container.Object("lifecycle").Object("postStart"), container.Object("lifecycle").Object("preStop")]);
                foreach (var one in asked.OfType<JsonObject>())
                {
                    if (one.Object("httpGet") is { } http && (http.Text("scheme") ?? "HTTP") == "HTTP" && http.Text("host") is null or "")
                    {
                        var path = (http.Text("path") ?? "/").Split('?', '#')[0];
                        yield return path.StartsWith('/') ? path : "/" + path;
                    }
                    else if (one.Object("grpc") is not null)
                    {
                        yield return "/grpc.health.v1.Health/Check";
                    }
                }
            }
        }
    }

    public bool HasTcpProbe => Apps.Any(c => Probes.Any(p => c.Container.Object(p).Object("tcpSocket") is not null));

    /// <summary>The users that containers are told to run as.</summary>
    public IEnumerable<long> Users => Everything.Select(c => c.Container.Object("securityContext").Integer("runAsUser") ?? Spec.Object("securityContext").Integer("runAsUser")).OfType<long>();

    /// <summary>Every container has as much as it asks for, and says so: such pods are the last to be evicted.</summary>
    public bool IsGuaranteed => Everything.Any() && Everything.All(c => Guaranteed(c.Container, "cpu") && Guaranteed(c.Container, "memory"));

    private static bool Guaranteed(JsonObject container, string resource)
    {
        var (limit, request) = (container.Object("resources").Object("limits")?[resource]?.ToString(), container.Object("resources").Object("requests")?[resource]?.ToString());
        return limit is not null && (request is null || request == limit);
    }

    private IEnumerable<(int Number, string Protocol)> Ports() => Apps.SelectMany(c => c.Container.Objects("ports"))
        .Select(p => ((int)Math.Clamp(p.Integer("containerPort") ?? 0, 0, 65536), p.Text("protocol") ?? "TCP")).Where(p => p.Item1 is >= 1 and <= 65535);

    private IEnumerable<(string List, int Index, JsonObject Container)> All(string list)
    {
        var items = Spec.Array(list);
        for (var i = 0; i < (items?.Count ?? 0); i++)
        {
            if (items![i] is JsonObject container)
            {
                yield return (list, i, container);
            }
        }
    }
}
