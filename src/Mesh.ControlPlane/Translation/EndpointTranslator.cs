using Google.Protobuf.WellKnownTypes;
using Mesh.ControlPlane.Model;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Endpoint;
using Mesh.Spiffe;
using Mesh.Xds.Decoding;
using Endpoint = Mesh.Protos.Envoy.Endpoint.Endpoint;

namespace Mesh.ControlPlane.Translation;

/// <summary>Writes the endpoints of a cluster by zone: those that are ready, and those that drain, for what belongs to them. Without any that is ready those that drain take calls (KEP-1669).</summary>
internal sealed class EndpointTranslator(TrustDomain trustDomain)
{
    /// <param name="appProtocol">Of the Service's port: what a server without mesh TLS is known to speak.</param>
    /// <param name="isOpaque">Read as bytes there (ServerPolicy), or sent as such (the Service's port).</param>
    /// <param name="distance">How far each is for who asks, 0 is the nearest; null where all are alike.</param>
    public ClusterLoadAssignment Translate(
        string cluster, string? ns, IReadOnlyList<ServiceEndpoint> endpoints, string? appProtocol, Func<ServiceEndpoint, bool> isOpaque, Func<ServiceEndpoint, int>? distance = null)
    {
        var assignment = new ClusterLoadAssignment { ClusterName = cluster };
        var nobodyReady = !endpoints.Any(e => e.Ready);
        var used = endpoints.Where(e => e.Ready || e.Draining).ToArray();
        var priorities = distance is null ? [0] : used.Select(distance).Distinct().Order().ToArray();
        foreach (var locality in used.GroupBy(e => (Priority: distance is null ? 0 : Array.IndexOf(priorities, distance(e)), e.Region, e.Zone))
            .OrderBy(g => g.Key.Priority).ThenBy(g => g.Key.Region, StringComparer.Ordinal).ThenBy(g => g.Key.Zone, StringComparer.Ordinal))
        {
            var ready = locality.Count(e => e.Ready);
            var written = new LocalityLbEndpoints
            {
                Locality = new Locality { Region = locality.Key.Region, Zone = locality.Key.Zone },
                Priority = (uint)locality.Key.Priority,
                LoadBalancingWeight = (uint)(ready > 0 ? ready : locality.Count()),
            };
            written.LbEndpoints.AddRange(locality.OrderBy(e => e.Address, StringComparer.Ordinal).ThenBy(e => e.Port)
                .Select(e => Write(ns!, e, e.Ready || nobodyReady ? HealthStatus.Healthy : HealthStatus.Draining, appProtocol, isOpaque(e))));
            assignment.Endpoints.Add(written);
        }

        return assignment;
    }

    private LbEndpoint Write(string ns, ServiceEndpoint endpoint, HealthStatus health, string? appProtocol, bool opaque) => new()
    {
        Endpoint = new Endpoint
        {
            Address = new Address { SocketAddress = new SocketAddress { Address = endpoint.Address, PortValue = (uint)endpoint.Port } },
        },
        HealthStatus = health,
        Metadata = new Metadata { FilterMetadata = { [XdsTypes.MetadataKey] = MeshMetadata(ns, endpoint, appProtocol, opaque) } },
    };

    /// <summary>Contracts §3. Without mesh TLS nothing negotiates the protocol, so only what the Service declares is promised.</summary>
    private Struct MeshMetadata(string ns, ServiceEndpoint endpoint, string? appProtocol, bool opaque)
    {
        var metadata = new Struct();
        metadata.Fields["tls"] = Value.ForString(endpoint.Meshed ? "mesh" : "none");
        if (endpoint.ServiceAccount is { } account)
        {
            metadata.Fields["spiffe_id"] = Value.ForString(SpiffeId.ForServiceAccount(trustDomain, ns, account).ToString());
        }

        metadata.Fields["protocols"] = endpoint is { Meshed: true, SpeaksTcp: true } ? Value.ForList(Value.ForString("h2"), Value.ForString("h1"), Value.ForString("tcp"))
            : endpoint.Meshed ? Value.ForList(Value.ForString("h2"), Value.ForString("h1"))
            : appProtocol is "kubernetes.io/h2c" or "h2c" or "grpc" ? Value.ForList(Value.ForString("h2"))
            : Value.ForList(Value.ForString("h1"));
        metadata.Fields["opaque"] = Value.ForBool(opaque);
        return metadata;
    }
}
