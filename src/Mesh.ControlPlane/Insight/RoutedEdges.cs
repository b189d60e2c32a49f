using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Telemetry;
using Edge = (Mesh.ControlPlane.Insight.NodeName Source, Mesh.ControlPlane.Insight.NodeName Destination);

namespace Mesh.ControlPlane.Insight;

/// <summary>
/// A caller names a Service whose routes lead to others, and the others tell who called them: the same calls, told twice. They are drawn as one way, from the caller to the Service and from there to its backends. Pure.
/// </summary>
internal static class RoutedEdges
{
    /// <param name="byClient">What callers saw, by whom they named.</param>
    /// <param name="byServer">What called sides saw, by where it arrived.</param>
    /// <returns>What called sides saw, drawn so; and which edges lead from a Service to its backends.</returns>
    public static (Dictionary<Edge, GoldenNumbers> ByServer, HashSet<Edge> Routed) Find(Dictionary<Edge, GoldenNumbers> byClient, Dictionary<Edge, GoldenNumbers> byServer, MeshModel model)
    {
        var ways = byClient.Keys.Where(e => e.Destination.Kind == "service")
            .SelectMany(e => BehindService.Backends(model, Of(e.Destination)).Where(b => b != Of(e.Destination)).Select(b => (e.Source, Backend: b, By: e.Destination)))
            .OrderBy(w => w.By.Id, StringComparer.Ordinal).ToLookup(w => (w.Source, w.Backend), w => w.By);
        var drawn = new List<KeyValuePair<Edge, GoldenNumbers>>();
        var routed = new HashSet<Edge>();
        foreach (var (edge, numbers) in byServer)
        {
            // Who also calls the backend by its own name can't be told apart from who came by the routes.
            var by = byClient.ContainsKey(edge) || edge.Destination.Kind != "service" ? [] : ways[(edge.Source, Of(edge.Destination))].Take(1).ToList();
            if (by is not [var service])
            {
                drawn.Add(new(edge, numbers));
                continue;
            }

            drawn.Add(new((edge.Source, service), numbers));
            drawn.Add(new((service, edge.Destination), numbers));
            routed.Add((service, edge.Destination));
        }

        return (drawn.GroupBy(d => d.Key).ToDictionary(g => g.Key, g => GoldenSum.Of(g.Select(d => d.Value))), routed);
    }

    private static ServiceName Of(NodeName node) => new(node.Namespace, node.Name);
}
