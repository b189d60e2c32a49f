using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Telemetry;
using Mesh.Telemetry;

namespace Mesh.ControlPlane.Insight;

/// <summary>Who calls whom (docs/api.md).</summary>
internal sealed record Topology(InsightBasis Basis, IReadOnlyList<TopologyNode> Nodes, IReadOnlyList<TopologyEdge> Edges) : InsightDocument(Basis)
{
    public static readonly IReadOnlyList<string> OnlyOfNow = ["nodes.endpoints", "nodes.zones", "nodes.workloads"];
}

/// <param name="Kind"><c>service</c>, <c>workload</c>, <c>unmeshed</c> or <c>external</c>.</param>
/// <param name="Endpoints">Null of a time past.</param>
/// <param name="Workloads">Service accounts behind it.</param>
internal sealed record TopologyNode(
    string Id, string Namespace, string Name, string Kind, HealthLevel Level, double Rps, double SuccessRate, double P99Ms, EndpointTotals? Endpoints, IReadOnlyList<string> Zones, IReadOnlyList<string> Workloads);

/// <param name="Client">What the caller saw; null when it reports nothing.</param>
/// <param name="Server">What the called side saw; null when it reports nothing.</param>
/// <param name="Decisions">What the caller's mesh did on its own account, by decision.</param>
/// <param name="Routed">Its source is a Service, and this is what arrived at a backend that its routes lead to.</param>
internal sealed record TopologyEdge(
    string Source, string Destination, HealthLevel Level, GoldenNumbers? Client, GoldenNumbers? Server, double MtlsShare, IReadOnlyDictionary<string, long> Decisions, bool Routed);

/// <summary>One end of an edge.</summary>
internal readonly record struct NodeName(string Id, string Namespace, string Name, string Kind);

/// <summary>Draws the mesh. Thread-safe.</summary>
internal sealed class TopologyReader(InsightReader insight, IGoldenQueries golden)
{
    public const string UnmeshedId = MeshTags.Unmeshed;

    public async Task<Topology> ReadAsync(InsightTime asked, CancellationToken cancellationToken)
    {
        GoldenQuery Query(GoldenView view) => new(GoldenBy.Pair, asked.From, asked.To) { View = view };

        var judging = insight.JudgeAsync(asked, null, cancellationToken);
        var client = golden.ReadAsync(Query(GoldenView.Client), cancellationToken);
        var server = golden.ReadAsync(Query(GoldenView.Server), cancellationToken);
        var sent = golden.ReadAsync(new GoldenQuery(GoldenBy.Workload, asked.From, asked.To), cancellationToken);
        var decided = golden.DecisionsAsync(asked.From, asked.To, cancellationToken);
        await Task.WhenAll(judging, client, server, sent, decided);
        var (services, answer) = await judging;
        return Draw(InsightBasis.Of(asked, answer, Topology.OnlyOfNow), insight.Served, services, (await client).Items, (await server).Items, (await sent).Items, (await decided).Items);
    }

    /// <summary>Pure.</summary>
    public static Topology Draw(
        InsightBasis basis, ServedBy served, IReadOnlyList<JudgedService> services,
        IReadOnlyList<GoldenItem> client, IReadOnlyList<GoldenItem> server, IReadOnlyList<GoldenItem> sent, IReadOnlyList<DecisionCount> decisions)
    {
        var names = new NodeNames(served);
        var nodes = services.Select(s => Node(s, served.Model)).ToDictionary(n => n.Id, StringComparer.Ordinal);
        var byClient = Edges(client, names);
        var (byServer, routed) = RoutedEdges.Find(byClient, Edges(server, names), served.Model);
        var sentBy = sent.GroupBy(i => names.Source(i.Key)).ToDictionary(g => g.Key, g => GoldenSum.Of(g.Select(i => i.Numbers)));
        var decided = decisions.Where(d => d is { Side: "client", Count: > 0 }).ToLookup(d => (names.Source(d.Namespace, d.Workload), names.Destination(d.ServiceNamespace, d.Service)));
        var edges = new List<TopologyEdge>();
        foreach (var key in byClient.Keys.Union(byServer.Keys).OrderBy(k => k.Source.Id, StringComparer.Ordinal).ThenBy(k => k.Destination.Id, StringComparer.Ordinal))
        {
            var (asClient, asServer) = (byClient.GetValueOrDefault(key), byServer.GetValueOrDefault(key));
            var told = asClient ?? asServer!;
            foreach (var end in new[] { key.Source, key.Destination })
            {
                if (!nodes.ContainsKey(end.Id))
                {
                    nodes[end.Id] = Node(end, sentBy.GetValueOrDefault(end, GoldenNumbers.None), basis.Time.IsPast);
                }
            }

            edges.Add(new TopologyEdge(
                key.Source.Id, key.Destination.Id, LevelOf(told), asClient, asServer, told.MtlsShare,
                decided[(key.Source, key.Destination)].GroupBy(d => d.Decision).ToDictionary(g => g.Key, g => g.Sum(d => d.Count)), routed.Contains(key)));
        }

        return new Topology(basis, [.. nodes.Values.OrderBy(n => n.Id, StringComparer.Ordinal)], edges);
    }

    /// <summary>A pair has no hour before and no endpoints: what fails of its calls.</summary>
    private static HealthLevel LevelOf(GoldenNumbers numbers)
    {
        var failing = HealthRules.FailureShare(numbers);
        return numbers.Requests == 0 && numbers.Connections == 0 && numbers.OpenConnections is null or 0 ? HealthLevel.Idle
            : failing >= HealthRules.FailingShare && numbers.Requests >= HealthRules.EnoughCalls ? HealthLevel.Failing
            : failing >= HealthRules.DegradedShare ? HealthLevel.Degraded : HealthLevel.Ok;
    }

    private static Dictionary<(NodeName Source, NodeName Destination), GoldenNumbers> Edges(IReadOnlyList<GoldenItem> items, NodeNames names) =>
        items.GroupBy(i => (names.Source(i.Key), names.Destination(i.Key))).ToDictionary(g => g.Key, g => GoldenSum.Of(g.Select(i => i.Numbers)));

    private static TopologyNode Node(JudgedService judged, MeshModel model)
    {
        var signs = judged.Signs;
        var service = signs.IsPast ? null : model.Services.GetValueOrDefault(signs.Name);
        return new TopologyNode(
            signs.Name.ToString(), signs.Name.Namespace, signs.Name.Name, signs.IsExternal ? "external" : "service", judged.Level, signs.Now.Rps, signs.Now.EffectiveSuccessRate, signs.Now.P99Ms, signs.IsPast ? null : signs.Endpoints,
            [.. (service?.Endpoints ?? []).Select(e => e.Zone).Where(z => z.Length > 0).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)],
            [.. (service?.Endpoints ?? []).Select(e => e.ServiceAccount).OfType<string>().Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)]);
    }

    private static TopologyNode Node(NodeName end, GoldenNumbers sent, bool past) => new(
        end.Id, end.Namespace, end.Name, end.Kind, LevelOf(sent), sent.Rps, sent.EffectiveSuccessRate, sent.P99Ms,
        past ? null : EndpointTotals.None, [], end.Kind == "workload" && !past ? [end.Name] : []);

    private sealed class NodeNames(ServedBy served)
    {
        public NodeName Source(GoldenKey key) => Source(key.SourceNamespace ?? string.Empty, key.Source ?? string.Empty);

        public NodeName Source(string ns, string workload) =>
            ns.Length == 0 && workload is MeshTags.Unmeshed or "" ? new NodeName(UnmeshedId, string.Empty, UnmeshedId, "unmeshed") : Known(ns, workload, "workload");

        public NodeName Destination(GoldenKey key) => Destination(key.DestinationNamespace ?? string.Empty, key.Destination ?? string.Empty);

        public NodeName Destination(string ns, string service) => Known(ns, service, "service");

        private NodeName Known(string ns, string name, string otherwise) =>
            served.Find(ns, name) is { } found ? new NodeName(found.ToString(), found.Namespace, found.Name, "service") : new NodeName($"{ns}/{name}", ns, name, otherwise);
    }
}
