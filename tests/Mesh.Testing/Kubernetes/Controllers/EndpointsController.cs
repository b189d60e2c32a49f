using System.Text.Json.Nodes;
using Mesh.Testing.Kubernetes.Storage;

namespace Mesh.Testing.Kubernetes.Controllers;

/// <summary>Makes EndpointSlices of Services with a selector and the Pods that match, as kube-controller-manager does: one slice for each Service and address family.</summary>
/// <remarks>Not here: slices of more than 100 endpoints, topology hints, the older Endpoints.</remarks>
internal sealed class EndpointsController(FakeKubeApi api) : Controller(api)
{
    protected override IReadOnlyList<string> Watched => ["/services", "/pods", "/nodes"];

    protected override void Reconcile()
    {
        var wanted = new HashSet<string>();
        foreach (var service in Api.Store.All("/services").Where(s => s.Json.At("spec", "selector") is JsonObject { Count: > 0 }))
        {
            var pods = Api.Store.All("/pods").Where(p => p.Namespace == service.Namespace && IsSelected(service.Json, p.Json)).ToList();
            foreach (var family in service.Json.Texts("spec", "ipFamilies"))
            {
                var name = $"{service.Name}-{family.ToLowerInvariant()}";
                wanted.Add($"{service.Namespace}/{name}");
                Put(Slice(service.Json, name, family, pods));
            }
        }

        foreach (var stale in Api.Store.All("discovery.k8s.io/endpointslices").Where(s => s.Json.Text("metadata", "labels", "endpointslice.kubernetes.io/managed-by") == ManagedBy && !wanted.Contains(s.Key)))
        {
            Api.Delete("endpointslices.discovery.k8s.io", stale.Namespace, stale.Name);
        }
    }

    private const string ManagedBy = "endpointslice-controller.k8s.io";

    private static bool IsSelected(JsonObject service, JsonObject pod) =>
        service.At("spec", "selector")!.AsObject().All(p => pod.Text("metadata", "labels", p.Key) == p.Value.Text())
        && pod.Text("status", "podIP") != "" && pod.Text("status", "phase") is not ("Succeeded" or "Failed");

    private void Put(JsonObject slice)
    {
        var there = Api.Find("endpointslices.discovery.k8s.io", slice.Namespace(), slice.Name());
        if (there is null || !JsonNode.DeepEquals(there["endpoints"], slice["endpoints"]) || !JsonNode.DeepEquals(there["ports"], slice["ports"]))
        {
            Api.Apply(slice);
        }
    }

    private JsonObject Slice(JsonObject service, string name, string family, IReadOnlyList<StoredObject> pods) => new()
    {
        ["apiVersion"] = "discovery.k8s.io/v1",
        ["kind"] = "EndpointSlice",
        ["metadata"] = new JsonObject
        {
            ["name"] = name,
            ["namespace"] = service.Namespace(),
            ["labels"] = new JsonObject { ["kubernetes.io/service-name"] = service.Name(), ["endpointslice.kubernetes.io/managed-by"] = ManagedBy },
            ["ownerReferences"] = new JsonArray(new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Service", ["name"] = service.Name(), ["uid"] = service.Text("metadata", "uid"), ["controller"] = true, ["blockOwnerDeletion"] = true }),
        },
        ["addressType"] = family,
        ["endpoints"] = new JsonArray([.. pods.Select(p => Endpoint(service, p.Json, family)).OfType<JsonNode>()]),
        ["ports"] = new JsonArray([.. service.Items("spec", "ports").Select(p => Port(p, pods))]),
    };

    private JsonObject? Endpoint(JsonObject service, JsonObject pod, string family)
    {
        var address = pod.Texts("status", "podIPs").Append(pod.Text("status", "podIP")).Concat(pod.Items("status", "podIPs").Select(ip => ip.Text("ip")))
            .FirstOrDefault(ip => ip != "" && ip.Contains(':', StringComparison.Ordinal) == (family == "IPv6"));
        if (address is null)
        {
            return null;
        }

        var isReady = pod.Items("status", "conditions").Any(c => c.Text("type") == "Ready" && c.Text("status") == "True");
        var isEnding = pod.At("metadata", "deletionTimestamp") is not null;
        var endpoint = new JsonObject
        {
            ["addresses"] = new JsonArray(address),
            ["conditions"] = new JsonObject { ["ready"] = (isReady && !isEnding) || service.At("spec", "publishNotReadyAddresses")?.GetValue<bool>() == true, ["serving"] = isReady, ["terminating"] = isEnding },
            ["targetRef"] = new JsonObject { ["kind"] = "Pod", ["name"] = pod.Name(), ["namespace"] = pod.Namespace(), ["uid"] = pod.Text("metadata", "uid") },
        };
        if (pod.Text("spec", "nodeName") is { Length: > 0 } node)
        {
            endpoint["nodeName"] = node;
            if (Api.Store.Find("/nodes", "", node)?.Json.Text("metadata", "labels", "topology.kubernetes.io/zone") is { Length: > 0 } zone)
            {
                endpoint["zone"] = zone;
            }
        }

        if (pod.Text("spec", "hostname") is { Length: > 0 } hostname && pod.Text("spec", "subdomain") == service.Name())
        {
            endpoint["hostname"] = hostname;
        }

        return endpoint;
    }

    private static JsonObject Port(JsonNode? port, IReadOnlyList<StoredObject> pods)
    {
        var target = port.At("targetPort");
        // A named port may stand for another number in each pod; a slice has one, so the first pod decides.
        var number = target.Long() ?? pods.SelectMany(p => p.Json.Items("spec", "containers")).SelectMany(c => c.Items("ports")).FirstOrDefault(p => p.Text("name") == target.Text()).At("containerPort").Long();
        var json = new JsonObject { ["name"] = port.Text("name"), ["protocol"] = port.Text("protocol"), ["port"] = number ?? port.At("port").Long() };
        if (port.Text("appProtocol") is { Length: > 0 } protocol)
        {
            json["appProtocol"] = protocol;
        }

        return json;
    }
}
