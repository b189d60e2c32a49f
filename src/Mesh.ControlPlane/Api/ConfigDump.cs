using System.Text.Json.Nodes;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Google.Protobuf.WellKnownTypes;
using Mesh.ControlPlane.Xds;

namespace Mesh.ControlPlane.Api;

/// <summary>What each client was sent, as JSON.</summary>
internal static class ConfigDump
{
    private static readonly TypeRegistry Types = TypeRegistry.FromFiles(
        Mesh.Protos.Envoy.Listener.ListenerReflection.Descriptor,
        Mesh.Protos.Envoy.Route.RouteReflection.Descriptor,
        Mesh.Protos.Envoy.Cluster.ClusterReflection.Descriptor,
        Mesh.Protos.Envoy.Endpoint.EndpointReflection.Descriptor,
        Mesh.Protos.Envoy.Hcm.HttpConnectionManagerReflection.Descriptor,
        Mesh.Protos.Envoy.Filters.RouterReflection.Descriptor,
        Mesh.Protos.Envoy.Tls.TlsReflection.Descriptor,
        Mesh.Protos.Envoy.Filters.FaultReflection.Descriptor,
        Mesh.Protos.Envoy.Filters.StatefulSessionReflection.Descriptor,
        Mesh.Protos.Envoy.Path.UriTemplateMatchReflection.Descriptor,
        Mesh.Protos.Envoy.LoadBalancing.RoundRobinReflection.Descriptor,
        Mesh.Protos.Envoy.LoadBalancing.LeastRequestReflection.Descriptor,
        Mesh.Protos.Envoy.LoadBalancing.ClientSideWeightedRoundRobinReflection.Descriptor,
        Mesh.Protos.Envoy.LoadBalancing.RingHashReflection.Descriptor,
        Mesh.Protos.Envoy.LoadBalancing.RandomReflection.Descriptor,
        Mesh.Protos.Envoy.LoadBalancing.PickFirstReflection.Descriptor,
        Mesh.Protos.Envoy.LoadBalancing.WrrLocalityReflection.Descriptor,
        Mesh.Protos.Envoy.Filters.RbacReflection.Descriptor,
        Mesh.Protos.Envoy.NetworkFilters.RbacReflection.Descriptor,
        Mesh.Protos.Envoy.NetworkFilters.TcpProxyReflection.Descriptor,
        Mesh.Protos.Envoy.JwtAuthn.ConfigReflection.Descriptor,
        Mesh.Protos.Traffic.TrafficReflection.Descriptor,
        Mesh.Protos.Identity.LeafPolicyReflection.Descriptor);

    private static readonly JsonFormatter Formatter = new(JsonFormatter.Settings.Default.WithTypeRegistry(Types).WithPreserveProtoFieldNames(true));

    /// <param name="node">Only this node; null is all.</param>
    public static IResult Write(ClientRegistry registry, string? node)
    {
        var clients = registry.Clients.Where(c => node is null || c.Node.Id == node).ToList();
        if (node is not null && clients.Count == 0)
        {
            return ApiEndpoints.Problem(404, "No such node", $"No client '{node}' is connected. GET /api/v1/clients lists those that are.");
        }

        return Results.Ok(clients.Select(c => new
        {
            node = c.Node.Id,
            identity = c.Node.Identity?.ToString(),
            types = c.Types.Select(t => new
            {
                t.TypeUrl,
                resources = t.Resources.Select(r => new
                {
                    r.Name,
                    version = r.Answer?.Version,
                    status = r.Answer is null ? "requested" : r.Answer.Version.Length == 0 ? "does_not_exist" : t.Status,
                    resource = r.Answer?.Resource is { } resource ? Json(resource) : null,
                    reason = r.Answer?.Reason,
                }),
            }),
        }));
    }

    private static JsonNode? Json(Any resource)
    {
        try
        {
            return JsonNode.Parse(Formatter.Format(resource));
        }
        catch (Exception e) when (e is InvalidOperationException or InvalidProtocolBufferException)
        {
            // Holds a type that we can't name: better its bytes than nothing.
            return new JsonObject { ["@type"] = resource.TypeUrl, ["value"] = resource.Value.ToBase64(), ["problem"] = e.Message };
        }
    }
}
