using Mesh.Protos.Otlp;
using Mesh.Spiffe;
using Mesh.Tap;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>Who a report is from: what its certificate says, and what it says itself within that.</summary>
/// <param name="Workload">Its name; bounded.</param>
/// <param name="Instance">Which process of it.</param>
/// <param name="Problem">Why nothing of it is taken; null: it is.</param>
internal sealed record Reporter(SpiffeId Peer, string Workload, string Instance, string? Problem)
{
    private const int MaxText = 253;

    public static Reporter Of(Resource? resource, SpiffeId peer)
    {
        var ns = Text(resource, "service.namespace");
        return new Reporter(
            peer, Text(resource, "service.name") is { Length: > 0 and <= MaxText } name ? name : peer.ServiceAccount ?? string.Empty, Text(resource, "service.instance.id") is { Length: <= MaxText } id ? id : string.Empty,
            ns == peer.Namespace ? null : $"service.namespace is '{TapText.Of(ns, 64)}', the peer is '{peer}'. A workload reports its own namespace only");
    }

    private static string? Text(Resource? resource, string key) => resource?.Attributes.FirstOrDefault(a => a.Key == key)?.Value?.StringValue;
}
