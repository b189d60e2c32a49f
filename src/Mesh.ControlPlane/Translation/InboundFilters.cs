using Mesh.ControlPlane.Model;
using Mesh.Protos.Envoy.Hcm;

namespace Mesh.ControlPlane.Translation;

/// <summary>What a request passes on its way into a workload: the HTTP filters before the router, in the order in which they are asked. The one place that says so, for servers of ours and others.</summary>
internal static class InboundFilters
{
    /// <param name="addresses">The endpoints that the listener stands for: more than one for a wildcard bind.</param>
    public static IReadOnlyList<HttpFilter> For(ModelIndex index, NodeContext node, IReadOnlyList<string> addresses)
    {
        var filters = new List<HttpFilter>();
        if (node.IsMesh && InboundLimitsTranslator.Filter([.. addresses.SelectMany(index.BehindWhich)]) is { } limits)
        {
            filters.Add(limits);
        }

        return filters;
    }
}
