using Google.Protobuf.WellKnownTypes;
using Mesh.ControlPlane.Model;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Endpoint;
using Mesh.Spiffe;
using Mesh.Xds.Decoding;
using Endpoint = Mesh.Protos.Envoy.Endpoint.Endpoint;

namespace Mesh.ControlPlane.Translation;

/// <summary>Writes the endpoints of a cluster: those that are ready, by zone.</summary>
internal sealed class EndpointTranslator(TrustDomain trustDomain)
{
    /// <param name="appProtocol">Of the Service's port: what a server without mesh TLS is known to speak.</param>
    /// <param name="isOpaque">Read as bytes there (ServerPolicy), or sent as such (the Service's port).</param>
    public ClusterLoadAssignment Translate(string cluster, string? ns, IReadOnlyList<ServiceEndpoint> endpoints, string? appProtocol, Func<ServiceEndpoint, bool> isOpaque)
    {
        var assignment = new ClusterLoadAssignment { ClusterName = cluster };
        foreach (var zone in endpoints.Where(e => e.Ready).GroupBy(e => e.Zone).OrderBy(g => g.Key, StringComparer.Ordinal))
        {
            var locality = new LocalityLbEndpoints { Locality = new Locality { Zone = zone.Key }, Priority = 0, LoadBalancingWeight = (uint)zone.Count() };
            locality.LbEndpoints.AddRange(zone.OrderBy(e => e.Address, StringComparer.Ordinal).ThenBy(e => e.Port).Select(e => Write(ns!, e, appProtocol, isOpaque(e))));
            assignment.Endpoints.Add(locality);
        }

        return assignment;
    }

    private LbEndpoint Write(string ns, ServiceEndpoint endpoint, string? appProtocol, bool opaque) => new()
    {
        Endpoint = new Endpoint
        {
            Address = new Address { SocketAddress = new SocketAddress { Address = endpoint.Address, PortValue = (uint)endpoint.Port } },
        },
        HealthStatus = HealthStatus.Healthy,
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
