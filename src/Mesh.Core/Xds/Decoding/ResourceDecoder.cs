using Google.Protobuf;
using Mesh.Config;

namespace Mesh.Xds.Decoding;

/// <summary>Turns the bytes of any resource that we speak into its model.</summary>
internal static class ResourceDecoder
{
    /// <summary>Decodes one resource. Never throws for bad bytes.</summary>
    /// <param name="typeUrl">One of <see cref="XdsTypes"/>.</param>
    /// <exception cref="ArgumentException">The type is none of ours.</exception>
    public static DecodeResult Decode(string typeUrl, ByteString value) => typeUrl switch
    {
        XdsTypes.Listener => Parse(Protos.Envoy.Listener.Listener.Parser, value, ListenerDecoder.Decode),
        XdsTypes.RouteConfiguration => Parse(Protos.Envoy.Route.RouteConfiguration.Parser, value, RouteConfigurationDecoder.Decode),
        XdsTypes.Cluster => Parse(Protos.Envoy.Cluster.Cluster.Parser, value, ClusterDecoder.Decode),
        XdsTypes.ClusterLoadAssignment => Parse(Protos.Envoy.Endpoint.ClusterLoadAssignment.Parser, value, LoadAssignmentDecoder.Decode),
        XdsTypes.LeafPolicy => Parse(Protos.Identity.LeafPolicy.Parser, value, LeafPolicyDecoder.Decode),
        XdsTypes.TrustBundle => Parse(Protos.Identity.TrustBundle.Parser, value, TrustBundleDecoder.Decode),
        _ => throw new ArgumentException($"'{typeUrl}' is no resource type of ours.", nameof(typeUrl)),
    };

    private static DecodeResult Parse<T>(MessageParser<T> parser, ByteString value, Func<T, DecodeResult> decode)
        where T : IMessage<T>
    {
        T message;
        try
        {
            message = parser.ParseFrom(value);
        }
        catch (Exception e) when (DecodeErrors.IsBadBytes(e))
        {
            return new DecodeResult(null, null, [new ConfigError("resource", $"cannot be parsed: {e.Message}", "Send the bytes of the type that type_url names.")]);
        }

        return decode(message);
    }
}
