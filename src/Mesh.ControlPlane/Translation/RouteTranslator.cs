using System.Collections.Immutable;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Route;
using Mesh.Protos.Envoy.Type;
using Route = Mesh.Protos.Envoy.Route.Route;

namespace Mesh.ControlPlane.Translation;

/// <summary>Writes the routes of one port of a Service.</summary>
/// <remarks>
/// With routes attached there is no falling through to the Service: what no rule takes is answered 404, which a gRPC caller sees as UNIMPLEMENTED (Gateway API).
/// The share of a backend that is none is answered 500 (gRPC: 503, that is UNAVAILABLE). Peers other than ours know no direct answers: they get a cluster without endpoints, UNAVAILABLE.
/// </remarks>
internal sealed class RouteTranslator(ResourceNames names)
{
    /// <param name="instance">The caller means one endpoint and no other: no route leads away from it, and <paramref name="attached"/> is empty.</param>
    public RouteConfiguration Translate(
        string name, MeshModel model, NodeContext node, ServiceName service, int port, ImmutableArray<TrafficRoute> attached, EffectivePolicies policies, string? instance = null)
    {
        var host = new VirtualHost { Name = name, Domains = { "*" } };
        if (attached.IsEmpty)
        {
            var settings = policies.ForPort(service, port);
            var route = new Route { Name = "default", Match = new RouteMatch { Prefix = "/" }, Route_ = new RouteAction { Cluster = names.Cluster(service, port, instance) } };
            RoutePolicyTranslator.Apply(route, settings, [settings], node.IsMesh);
            host.Routes.Add(route);
        }
        else
        {
            var rules = RoutePrecedence.Order(RuleNarrowing.Apply(attached, policies, node.Identity)).ToArray();
            host.Routes.AddRange(rules.SelectMany(r => RoutesOf(r, model, node, service, port, policies)));
            if (!rules.Any(r => r.IsCatchAll))
            {
                var none = new Route { Name = "no-match", Match = new RouteMatch { Prefix = "/" } };
                Fail(none, node, 404, "no route matches", names.InvalidCluster(service, port));
                host.Routes.Add(none);
            }
        }

        return new RouteConfiguration { Name = name, VirtualHosts = { host } };
    }

    private IEnumerable<Route> RoutesOf(MatchedRule rule, MeshModel model, NodeContext node, ServiceName parent, int parentPort, EffectivePolicies policies)
    {
        var backends = rule.Rule.Backends.Where(b => b.Weight > 0)
            .GroupBy(b => (b.Service, b.Port, Valid: b.IsValid(model), b.RequestHeaders, b.ResponseHeaders))
            .Select(g => (g.Key.Service, g.Key.Port, g.Key.Valid, Weight: g.Sum(b => b.Weight), Any: g.First()))
            .ToArray();
        var valid = backends.Where(b => b.Valid).Sum(b => (long)b.Weight);
        var total = backends.Sum(b => (long)b.Weight);
        foreach (var match in MatchTranslator.Translate(rule.Match, node.IsMesh))
        {
            if (rule.Rule.Filters.Answers && node.IsMesh)
            {
                var answering = new Route { Name = rule.Name, Match = match };
                FilterTranslator.Answer(answering, rule, parentPort);
                yield return answering;
                continue;
            }

            if (valid == 0)
            {
                var failing = new Route { Name = rule.Name, Match = match };
                var cluster = backends.Length > 0 ? names.InvalidCluster(backends[0].Service, backends[0].Port) : names.InvalidCluster(parent, parentPort);
                Fail(failing, node, FailureStatus(rule), "no valid backend", cluster);
                yield return failing;
                continue;
            }

            if (valid < total && node.IsMesh)
            {
                // The invalid share first, by chance; what is left goes to the valid backends.
                var share = match.Clone();
                share.RuntimeFraction = new RuntimeFractionalPercent
                {
                    DefaultValue = new FractionalPercent
                    {
                        Numerator = (uint)Math.Round((total - valid) * 1_000_000d / total),
                        Denominator = FractionalPercent.Types.DenominatorType.Million,
                    },
                };
                var failing = new Route { Name = rule.Name, Match = share };
                Fail(failing, node, FailureStatus(rule), "no valid backend", string.Empty);
                yield return failing;
            }

            var clusters = backends.Where(b => b.Valid || !node.IsMesh)
                .Select(b => (Name: b.Valid ? names.Cluster(b.Service, b.Port) : names.InvalidCluster(b.Service, b.Port), b.Weight, b.Any))
                .ToArray();
            var route = new Route { Name = rule.Name, Match = match, Route_ = Forward(clusters, node.IsMesh) };
            RoutePolicyTranslator.Apply(
                route, policies.ForRule(parent, parentPort, rule.Route, rule.Index), backends.Where(b => b.Valid).Select(b => policies.ForPort(b.Service, b.Port)), node.IsMesh);
            if (node.IsMesh)
            {
                FilterTranslator.Apply(route, rule, names);
            }

            yield return route;
        }
    }

    private static RouteAction Forward((string Name, int Weight, BackendRef Backend)[] clusters, bool mesh)
    {
        var action = new RouteAction();
        if (clusters is [var single] && !(mesh && single.Backend is not { RequestHeaders: null, ResponseHeaders: null }))
        {
            action.Cluster = single.Name;
        }
        else
        {
            action.WeightedClusters = new WeightedCluster();
            action.WeightedClusters.Clusters.AddRange(clusters.Select(c => Weighted(c.Name, c.Weight, mesh ? c.Backend : null)));
        }

        return action;
    }

    /// <param name="backend">With its own header changes; null leaves them out.</param>
    private static WeightedCluster.Types.ClusterWeight Weighted(string name, int weight, BackendRef? backend)
    {
        var cluster = new WeightedCluster.Types.ClusterWeight { Name = name, Weight = (uint)weight };
        FilterTranslator.AddHeaders(backend?.RequestHeaders, cluster.RequestHeadersToAdd, cluster.RequestHeadersToRemove);
        FilterTranslator.AddHeaders(backend?.ResponseHeaders, cluster.ResponseHeadersToAdd, cluster.ResponseHeadersToRemove);
        return cluster;
    }

    /// <summary>Answers instead of forwarding.</summary>
    private static void Fail(Route route, NodeContext node, uint status, string why, string cluster)
    {
        if (node.IsMesh)
        {
            route.DirectResponse = new DirectResponseAction { Status = status, Body = new DataSource { InlineString = why } };
        }
        else
        {
            route.Route_ = new RouteAction { Cluster = cluster };
        }
    }

    /// <summary>GRPCRoute asks for UNAVAILABLE, which is what gRPC makes of 503.</summary>
    private static uint FailureStatus(MatchedRule rule) => rule.Route.Grpc ? 503u : 500u;
}
