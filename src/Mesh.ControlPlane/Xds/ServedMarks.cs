using System.Net;
using Mesh.ControlPlane.Model;
using Mesh.Spiffe;
using Mesh.Xds.Decoding;

namespace Mesh.ControlPlane.Xds;

/// <summary>What the node of one stream serves by mesh TLS is remembered as meshed (contracts §3). Owned by its session, under the session's lock.</summary>
/// <param name="identity">Of the peer; without one nothing is believed.</param>
internal sealed class ServedMarks(IMeshMarkStore marks, ResourceAnswers answers, SpiffeId? identity)
{
    private MeshModel? _marked;

    /// <summary>The node asks for this listener: where it is an inbound one, it serves mesh TLS there.</summary>
    public void Listens(NodeContext node, string listener)
    {
        if (identity is null || BoundOf(node, listener) is not { } bound || !IPEndPoint.TryParse(bound, out var at) || at.Port == 0)
        {
            return;
        }

        if (!at.Address.Equals(IPAddress.Any) && !at.Address.Equals(IPAddress.IPv6Any))
        {
            marks.Record(at.ToString(), identity, node.IsTransparent);
            return;
        }

        foreach (var ip in node.InstanceIps)
        {
            if (IPAddress.TryParse(ip, out var address))
            {
                marks.Record(new IPEndPoint(address, at.Port).ToString(), identity, node.IsTransparent);
            }
        }
    }

    /// <summary>A sidecar serves every port of its addresses, whether it asks for a listener there or not.</summary>
    public void BehindSidecar(NodeContext? node)
    {
        if (identity?.Namespace is null || node is not { IsTransparent: true })
        {
            return;
        }

        var (model, endpoints) = answers.EndpointsOf(identity);
        if (ReferenceEquals(model, _marked))
        {
            return;
        }

        _marked = model;
        var own = node.InstanceIps.Select(ip => IPAddress.TryParse(ip, out var parsed) ? parsed.ToString() : ip).ToHashSet(StringComparer.Ordinal);
        foreach (var endpoint in endpoints)
        {
            if (own.Contains(endpoint.Address) && !node.SkipInboundPorts.Contains(endpoint.Port))
            {
                marks.Record(endpoint.HostPort, identity, transparent: true);
            }
        }
    }

    /// <summary>What a node serves mesh TLS at when it asks for this listener; null when it is none of that kind.</summary>
    private static string? BoundOf(NodeContext node, string listener) =>
        listener.StartsWith(XdsTypes.InboundPrefix, StringComparison.Ordinal) ? listener[XdsTypes.InboundPrefix.Length..]
        : node.HasDefaultTls && listener.StartsWith(XdsTypes.GrpcServerPrefix, StringComparison.Ordinal) ? listener[XdsTypes.GrpcServerPrefix.Length..]
        : null;
}
