using System.Net;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;

namespace Mesh.ControlPlane.Translation;

/// <summary>Finds the place that a node asks about.</summary>
internal static class InboundPlace
{
    /// <summary>What holds where the node listens. Who it proved to be decides whose policies hold; without proof it is the Service's namespace.</summary>
    /// <param name="ip">The bound address; the wildcard stands for the node's own addresses.</param>
    public static EffectiveAuthorization Find(AuthorizationIndex index, NodeContext node, IPAddress ip, int port)
    {
        var addresses = Addresses(node, ip);
        var ns = node.Identity?.Namespace ?? index.NamespaceOf(node.Namespace, addresses, port);
        return index.At(ns, node.Identity?.ServiceAccount, addresses, port);
    }

    public static IReadOnlyList<string> Addresses(NodeContext node, IPAddress ip) => IsAny(ip)
        ? [.. node.InstanceIps.Select(own => IPAddress.TryParse(own, out var parsed) ? parsed.ToString() : null).OfType<string>()]
        : [ip.ToString()];

    public static bool IsAny(IPAddress ip) => ip.Equals(IPAddress.Any) || ip.Equals(IPAddress.IPv6Any);
}
