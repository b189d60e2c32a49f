using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Mesh.Protos.Envoy.Discovery;
using Mesh.Xds.Decoding;

namespace Mesh.Xds;

/// <summary>State-of-the-world ADS: every message names or holds all; one version per type.</summary>
internal sealed class StateOfTheWorldAdsStream(AsyncDuplexStreamingCall<DiscoveryRequest, DiscoveryResponse> call, XdsNode node, Action<AdsRequest> onSent)
    : AdsStream<DiscoveryRequest, DiscoveryResponse>(call, onSent)
{
    protected override DiscoveryRequest Translate(AdsRequest request, bool first)
    {
        var message = new DiscoveryRequest
        {
            TypeUrl = request.TypeUrl,
            ResourceNames = { request.Names },
            VersionInfo = request.Version,
            ResponseNonce = request.Nonce,
        };
        if (first)
        {
            message.Node = node.ToProto();
        }

        if (request.Error is not null)
        {
            message.ErrorDetail = new Protos.Rpc.Status { Code = (int)StatusCode.InvalidArgument, Message = request.Error };
        }

        return message;
    }

    protected override AdsResponse Translate(DiscoveryResponse response) => new(
        response.TypeUrl,
        response.VersionInfo,
        response.Nonce,
        [.. response.Resources.Select(any => Unwrap(response.TypeUrl, response.VersionInfo, any))],
        [],
        IsWhole: true)
    {
        Errors = Translate(response.ResourceErrors),
    };

    /// <summary>We announce <c>xds.config.resource-in-sotw</c>, so a resource may come wrapped; the wrapper's name counts then.</summary>
    private static AdsResource Unwrap(string typeUrl, string version, Any any)
    {
        if (!any.Is(Resource.Descriptor))
        {
            return Unwrap(typeUrl, null, version, any);
        }

        try
        {
            var wrapper = Resource.Parser.ParseFrom(any.Value);
            return Unwrap(typeUrl, wrapper.Name.Length > 0 ? wrapper.Name : null, version, wrapper.Resource_);
        }
        catch (Exception e) when (DecodeErrors.IsBadBytes(e))
        {
            return new AdsResource(null, version, ByteString.Empty, $"has a wrapper that cannot be parsed: {e.Message}");
        }
    }
}
