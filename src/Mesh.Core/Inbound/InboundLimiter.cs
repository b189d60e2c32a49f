using Mesh.Config;
using Mesh.Resilience;
using Mesh.Routing;
using Mesh.Traffic;

namespace Mesh.Inbound;

/// <summary>The limits of a listener's requests, compiled from its filters and what its routes override of them. Thread-safe.</summary>
internal sealed class InboundLimiter
{
    private readonly RequestLimits _all;
    private readonly RouteTable<RequestLimits>? _routes;

    private InboundLimiter(RequestLimits all, RouteTable<RequestLimits>? routes, bool needsHead)
    {
        _all = all;
        _routes = routes;
        NeedsHead = needsHead;
    }

    /// <summary>The request must be looked at.</summary>
    public bool NeedsHead { get; }

    /// <param name="http">Null is nothing.</param>
    /// <param name="own">For the whole server, by its operator; null is none.</param>
    /// <returns>Null when nothing is limited.</returns>
    public static InboundLimiter? From(HttpConnectionManager? http, ConcurrencyGate? own, LimitStates states)
    {
        HttpFilter[] filters = [.. http?.Filters.Where(f => f.Settings is InboundLimits) ?? []];
        var all = Compile([.. filters.Select(f => (f.Name, (InboundLimits?)f.Settings))], own, states);
        var names = filters.Select(f => f.Name).ToHashSet(StringComparer.Ordinal);
        if (http?.Inline is not { } routes || !routes.VirtualHosts.Any(h => Overrides(h, names)))
        {
            return all.IsNone ? null : new InboundLimiter(all, null, all.NeedsHead);
        }

        // A place has a state of its own: its name is the filter's and, where something is overridden, the route's.
        var places = new Dictionary<Route, RequestLimits>(ReferenceEqualityComparer.Instance);
        foreach (var host in routes.VirtualHosts)
        {
            for (var i = 0; i < host.Routes.Count; i++)
            {
                places.TryAdd(host.Routes[i], Of(host, host.Routes[i], i));
            }
        }

        return new InboundLimiter(all, new RouteTable<RequestLimits>(routes, route => places[route]), needsHead: true);

        RequestLimits Of(VirtualHost host, Route route, int index) => Compile(
            [.. filters.Select(f => (Place(f.Name, host, route, index), FilterOverrides.Effective(f, route.FilterOverrides, host.FilterOverrides) as InboundLimits))], own, states);
    }

    /// <param name="head">Given where <see cref="NeedsHead"/>.</param>
    /// <returns>What holds for this request; of one without a route what holds for all.</returns>
    public RequestLimits For(RequestHead? head, Random random) =>
        _routes is null || head is null ? _all : _routes.Find(head.Authority)?.Match(head, random) ?? _all;

    private static RequestLimits Compile(IReadOnlyList<(string Place, InboundLimits? Limits)> filters, ConcurrencyGate? own, LimitStates states)
    {
        var rules = filters.SelectMany(f => f.Limits?.RateLimits.Select(l => new RateLimitRule(l, states.Rate(f.Place, l))) ?? []);
        var gates = filters.Where(f => f.Limits?.Concurrency is not null).Select(f => states.Gate(f.Place, f.Limits!.Concurrency!));
        return new RequestLimits(rules, own is null ? gates : gates.Append(own));
    }

    private static bool Overrides(VirtualHost host, HashSet<string> filters) =>
        host.FilterOverrides.ByName.Keys.Any(filters.Contains) || host.Routes.Any(r => r.FilterOverrides.ByName.Keys.Any(filters.Contains));

    private static string Place(string filter, VirtualHost host, Route route, int index) =>
        route.FilterOverrides.ByName.ContainsKey(filter) ? $"{filter} of route '{(route.Name.Length > 0 ? route.Name : $"[{index}]")}' of '{host.Name}'"
        : host.FilterOverrides.ByName.ContainsKey(filter) ? $"{filter} of '{host.Name}'"
        : filter;
}
