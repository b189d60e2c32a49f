using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Mesh.ControlPlane.Model.Policies;
using Mesh.Protos.Envoy.Route;
using Mesh.Protos.Traffic;
using Mesh.Xds.Decoding;
using Hedging = Mesh.Protos.Traffic.Hedging;
using Route = Mesh.Protos.Envoy.Route.Route;
using RoutePolicy = Mesh.Protos.Traffic.RoutePolicy;

namespace Mesh.ControlPlane.Translation;

/// <summary>Writes what policies say of a forwarding route.</summary>
internal static class RoutePolicyTranslator
{
    /// <param name="backends">What holds for the Services that the route forwards to, in order.</param>
    public static void Apply(Route route, EffectiveSettings settings, IEnumerable<EffectiveSettings> backends, bool mesh)
    {
        var action = route.Route_;
        RetryTranslator.Apply(action, settings, mesh);

        // A call has one hash: that of the first backend that goes by one.
        var hash = backends.FirstOrDefault(b => b.Get(BalancingSettings.Algorithm) == BalancingAlgorithm.RingHash)?.Get(BalancingSettings.HashOn);
        action.HashPolicy.AddRange((hash ?? []).Select(Hash));
        var fault = settings.Get(FaultSettings.Fault);
        if (!fault.IsNone)
        {
            route.TypedPerFilterConfig[FaultTranslator.FilterName] = Optional(FaultTranslator.Translate(fault));
        }

        if (mesh && OfOurs(settings, fault) is { } policy)
        {
            route.TypedPerFilterConfig[RoutePolicyDecoder.Key] = Optional(policy);
        }
    }

    private static RoutePolicy? OfOurs(EffectiveSettings settings, Fault fault)
    {
        var hedging = settings.Get(RetrySettings.Hedging);
        var headers = settings.Get(TimeoutSettings.ResponseHeaders);
        var expires = fault.IsNone ? null : fault.ExpiresAt;
        if (!hedging.IsOn && headers == TimeSpan.Zero && expires is null)
        {
            return null;
        }

        return new RoutePolicy
        {
            Hedging = !hedging.IsOn ? null : new Hedging
            {
                Percentile = (uint)hedging.Percentile,
                Delay = hedging.Delay == TimeSpan.Zero ? null : Duration.FromTimeSpan(hedging.Delay),
                MaxAttempts = (uint)hedging.MaxAttempts,
            },
            ResponseHeadersTimeout = headers == TimeSpan.Zero ? null : Duration.FromTimeSpan(headers),
            FaultExpiresAt = expires is { } end ? Timestamp.FromDateTimeOffset(end) : null,
        };
    }

    private static RouteAction.Types.HashPolicy Hash(HashSource source) => source.Header is { } header
        ? new RouteAction.Types.HashPolicy { Header = new RouteAction.Types.HashPolicy.Types.Header { HeaderName = header }, Terminal = source.Terminal }
        : new RouteAction.Types.HashPolicy { FilterState = new RouteAction.Types.HashPolicy.Types.FilterState { Key = "io.grpc.channel_id" }, Terminal = source.Terminal };

    /// <summary>A client that does not know the type passes it over (gRFC A39).</summary>
    private static Any Optional(IMessage config) => Any.Pack(new FilterConfig { Config = Any.Pack(config), IsOptional = true });
}
