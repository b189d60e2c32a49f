using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Mesh.Testing;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Mesh.Conformance.Tests.GatewayApi;

/// <summary>A Pod of the manifests: it listens on loopback, at ports of this run.</summary>
/// <param name="Ports">By the names of its container's ports.</param>
internal sealed record EchoPod(string Namespace, string Name, string Account, bool IsMeshed, IPAddress Address, IReadOnlyDictionary<string, int> Ports);

/// <summary>
/// All objects of the table with what a cluster adds to them: addresses of Pods and Services, and EndpointSlices of the Services that select Pods. A container's port is known by its name alone;
/// the number is another one in each run.
/// </summary>
internal sealed class ClusterObjects
{
    private readonly Dictionary<string, List<JsonObject>> _files = new(StringComparer.Ordinal);
    private readonly List<EchoPod> _pods = [];
    private int _nextService;

    public ClusterObjects()
    {
        Add("base", GatewayCases.Base);
        foreach (var c in GatewayCases.All)
        {
            Add(c.Name, GatewayCases.Manifest(c.Name));
        }

        foreach (var objects in _files.Values)
        {
            foreach (var service in objects.Where(o => Kind(o) == "Service").ToArray())
            {
                Expose(service, objects);
            }

            foreach (var slice in objects.Where(o => Kind(o) == "EndpointSlice"))
            {
                Fill(slice);
            }
        }
    }

    public IReadOnlyList<EchoPod> Pods => _pods;

    /// <summary>By the name of the case.</summary>
    public IReadOnlyDictionary<string, List<JsonObject>> Files => _files;

    public IEnumerable<JsonObject> All => _files.Values.SelectMany(o => o);

    /// <summary>Where an app would connect to, by DNS.</summary>
    /// <param name="from">The namespace of the app.</param>
    public IPEndPoint Resolve(string host, int port, string from)
    {
        if (IPAddress.TryParse(host, out var address))
        {
            return new IPEndPoint(address, port);
        }

        var labels = host.Split('.');
        var (name, ns) = (labels[0], labels.Length > 1 ? labels[1] : from);
        var service = All.Single(o => Kind(o) == "Service" && NameOf(o) == name && NamespaceOf(o) == ns);
        if ((string)service["spec"]!["clusterIP"]! is not "None" and var ip)
        {
            return new IPEndPoint(IPAddress.Parse(ip), port);
        }

        // Headless: DNS gives the Pods.
        var declared = service["spec"]!["ports"]!.AsArray().Single(p => (int)p!["port"]! == port)!;
        var pod = Selected(service)[0];
        return new IPEndPoint(pod.Address, pod.Ports[TargetOf(declared)]);
    }

    /// <summary>The URI with the address of a Pod in place of <c>NAME.NAMESPACE.pod</c>.</summary>
    public Uri WithAddress(string uri)
    {
        var written = new Uri(uri);
        return written.Host.Split('.') is not [var name, var ns, "pod"] ? written : new UriBuilder(written)
        {
            Host = Pod(ns, name).Address.ToString(),
            Port = Pod(ns, name).Ports[written.Port switch { 80 => "http", 8080 => "http-alt", _ => "grpc" }],
        }.Uri;
    }

    public static string Kind(JsonObject o) => (string)o["kind"]!;

    public static string NameOf(JsonObject o) => (string)o["metadata"]!["name"]!;

    public static string NamespaceOf(JsonObject o) => (string)o["metadata"]!["namespace"]!;

    private EchoPod Pod(string ns, string name) => _pods.Single(p => p.Namespace == ns && p.Name == name);

    private void Add(string file, string yaml)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(yaml));
        _files.Add(file, [.. stream.Documents.Select(d => Json(d.RootNode)!.AsObject())]);
        foreach (var pod in _files[file].Where(o => Kind(o) == "Pod"))
        {
            Start(pod);
        }
    }

    /// <summary>What a kubelet does.</summary>
    private void Start(JsonObject pod)
    {
        var ports = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var port in pod["spec"]!["containers"]![0]!["ports"]!.AsArray())
        {
            ports.Add((string)port!["name"]!, FreePort.Next());
            port["containerPort"] = ports[(string)port["name"]!];
        }

        var address = new IPAddress([127, 0, 1, (byte)(_pods.Count + 1)]);
        pod["status"] = new JsonObject
        {
            ["podIP"] = address.ToString(),
            ["podIPs"] = new JsonArray(new JsonObject { ["ip"] = address.ToString() }),
            ["phase"] = "Running",
            ["conditions"] = new JsonArray(new JsonObject { ["type"] = "Ready", ["status"] = "True" }),
        };
        _pods.Add(new EchoPod(NamespaceOf(pod), NameOf(pod), (string)pod["spec"]!["serviceAccountName"]!, (string?)pod["metadata"]!["labels"]!["mesh"] != "none", address, ports));
    }

    /// <summary>What the API server and the controller of slices do: an address, and a slice for each Pod (ports of a slice are the same for all of its endpoints).</summary>
    private void Expose(JsonObject service, List<JsonObject> objects)
    {
        var spec = service["spec"]!.AsObject();
        if (spec["clusterIP"] is null)
        {
            spec["clusterIP"] = new IPAddress([10, 96, (byte)(_nextService / 250), (byte)((_nextService++ % 250) + 1)]).ToString();
        }

        foreach (var pod in spec["selector"] is null ? [] : Selected(service))
        {
            objects.Add(new JsonObject
            {
                ["apiVersion"] = "discovery.k8s.io/v1",
                ["kind"] = "EndpointSlice",
                ["metadata"] = new JsonObject
                {
                    ["name"] = $"{NameOf(service)}-{pod.Name}",
                    ["namespace"] = pod.Namespace,
                    ["labels"] = new JsonObject { ["kubernetes.io/service-name"] = NameOf(service) },
                },
                ["addressType"] = "IPv4",
                ["ports"] = new JsonArray([.. spec["ports"]!.AsArray().Select(p => new JsonObject { ["name"] = (string)p!["name"]!, ["port"] = pod.Ports[TargetOf(p)], ["protocol"] = "TCP" })]),
                ["endpoints"] = new JsonArray(new JsonObject { ["addresses"] = new JsonArray(pod.Address.ToString()), ["targetRef"] = new JsonObject { ["kind"] = "Pod", ["name"] = pod.Name } }),
            });
        }
    }

    /// <summary>Slices of the manifests name a Pod and the names of its ports.</summary>
    private void Fill(JsonObject slice)
    {
        var endpoint = slice["endpoints"]![0]!;
        var pod = Pod(NamespaceOf(slice), (string)endpoint["targetRef"]!["name"]!);
        endpoint["addresses"] = new JsonArray(pod.Address.ToString());
        foreach (var port in slice["ports"]!.AsArray().Where(p => pod.Ports.ContainsKey((string)p!["name"]!)))
        {
            port!["port"] = pod.Ports[(string)port["name"]!];
        }
    }

    private List<EchoPod> Selected(JsonObject service)
    {
        var pods = All.Where(o => Kind(o) == "Pod" && NamespaceOf(o) == NamespaceOf(service)
            && service["spec"]!["selector"]!.AsObject().All(s => (string?)o["metadata"]!["labels"]![s.Key] == (string?)s.Value));
        return [.. pods.Select(p => Pod(NamespaceOf(p), NameOf(p)))];
    }

    private static string TargetOf(JsonNode port) => (string?)port["targetPort"] ?? (string)port["name"]!;

    private static JsonNode? Json(YamlNode node) => node switch
    {
        YamlMappingNode map => new JsonObject(map.Children.Select(c => KeyValuePair.Create(((YamlScalarNode)c.Key).Value!, Json(c.Value)))),
        YamlSequenceNode list => new JsonArray([.. list.Children.Select(Json)]),
        YamlScalarNode { Style: ScalarStyle.Plain, Value: "" or "~" or "null" } => null,
        YamlScalarNode { Style: ScalarStyle.Plain, Value: "true" or "false" } scalar => scalar.Value == "true",
        YamlScalarNode { Style: ScalarStyle.Plain } scalar when long.TryParse(scalar.Value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) => number,
        YamlScalarNode scalar => scalar.Value,
        _ => throw new InvalidDataException($"{node.Start}: no value."),
    };
}
