using Grpc.Core;
using Mesh.Protos.Envoy.Discovery;

namespace Mesh.Xds;

/// <summary>Delta ADS: only differences go both ways; versions are per resource.</summary>
internal sealed class DeltaAdsStream(
    AsyncDuplexStreamingCall<DeltaDiscoveryRequest, DeltaDiscoveryResponse> call, XdsNode node, Action<AdsRequest> onSent)
    : AdsStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>(call, onSent)
{
    protected override DeltaDiscoveryRequest Translate(AdsRequest request, bool first)
    {
        var message = new DeltaDiscoveryRequest
        {
            TypeUrl = request.TypeUrl,
            ResourceNamesSubscribe = { request.Added },
            ResourceNamesUnsubscribe = { request.Removed },

            // A nonce makes the message an answer; a mere change of subscription has none.
            ResponseNonce = request.IsAnswer ? request.Nonce : string.Empty,
        };
        if (first)
        {
            message.Node = node.ToProto();
        }

        foreach (var (name, version) in request.HeldVersions ?? System.Collections.Immutable.ImmutableDictionary<string, string>.Empty)
        {
            message.InitialResourceVersions.Add(name, version);
        }

        if (request.Error is not null)
        {
            message.ErrorDetail = new Protos.Rpc.Status { Code = (int)StatusCode.InvalidArgument, Message = request.Error };
        }

        return message;
    }

    protected override AdsResponse Translate(DeltaDiscoveryResponse response) => new(
        response.TypeUrl,
        response.SystemVersionInfo,
        response.Nonce,
        [.. response.Resources.Select(r => Unwrap(response.TypeUrl, r.Name.Length > 0 ? r.Name : r.ResourceName?.Name, r.Version, r.Resource_))],
        response.RemovedResources,
        IsWhole: false)
    {
        Errors = Translate(response.ResourceErrors),
    };
}
