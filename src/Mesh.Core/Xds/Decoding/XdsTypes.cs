namespace Mesh.Xds.Decoding;

/// <summary>The type URLs that we speak.</summary>
internal static class XdsTypes
{
    public const string Listener = "type.googleapis.com/envoy.config.listener.v3.Listener";
    public const string RouteConfiguration = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";
    public const string Cluster = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
    public const string ClusterLoadAssignment = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";

    /// <summary>Ours: what the control plane asks of leaf certificates; one resource named <c>default</c>.</summary>
    public const string LeafPolicy = "type.googleapis.com/mesh.identity.v1.LeafPolicy";

    /// <summary>Ours: who vouches for peers, and who is no longer believed; one resource, named as the trust domain.</summary>
    public const string TrustBundle = "type.googleapis.com/mesh.identity.v1.TrustBundle";

    /// <summary>Key of our endpoint metadata in <c>filter_metadata</c> (contracts §3).</summary>
    public const string MetadataKey = "io.meshlib";

    /// <summary>Prefix of our inbound listener names; the bound address follows.</summary>
    public const string InboundPrefix = "meshlib/inbound?address=";

    /// <summary>Prefix of the inbound listener names that gRPC servers ask for (gRFC A36); the bound address follows.</summary>
    public const string GrpcServerPrefix = "grpc/server?xds.resource.listening_address=";
}
