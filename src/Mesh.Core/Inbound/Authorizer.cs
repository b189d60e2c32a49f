using Mesh.Config;
using Mesh.Policy;
using Mesh.Routing;
using Mesh.Traffic;

namespace Mesh.Inbound;

/// <summary>The access rules of a chain, compiled from its filters and what its routes override of them. Immutable and thread-safe.</summary>
internal sealed class Authorizer
{
    private readonly RbacEngine _all;
    private readonly RouteTable<RbacEngine>? _routes;

    private Authorizer(RbacEngine all, RouteTable<RbacEngine>? routes)
    {
        _all = all;
        _routes = routes;
        NeedsHead = routes is not null || all.NeedsHead;
    }

    /// <summary>The request must be looked at.</summary>
    public bool NeedsHead { get; }

    /// <summary>What holds for the connection alone.</summary>
    public RbacEngine Connections => _all;

    /// <param name="chain">Null is nothing.</param>
    /// <returns>Null when nothing is restricted or counted.</returns>
    public static Authorizer? From(FilterChain? chain)
    {
        if (chain is null)
        {
            return null;
        }

        HttpFilter[] filters = [.. chain.Http?.Filters.Where(f => f.Settings is RbacFilter) ?? []];
        var all = new RbacEngine([.. chain.ConnectionRules, .. filters.Select(f => (RbacFilter)f.Settings)]);
        var names = filters.Select(f => f.Name).ToHashSet(StringComparer.Ordinal);
        if (chain.Http?.Inline is not { } routes || !routes.VirtualHosts.Any(h => Overrides(h, names)))
        {
            return all.IsNone ? null : new Authorizer(all, null);
        }

        return new Authorizer(all, new RouteTable<RbacEngine>(routes, (host, route) => Overrides(host.FilterOverrides, names) || Overrides(route.FilterOverrides, names)
            ? new RbacEngine([.. chain.ConnectionRules, .. filters.Select(f => FilterOverrides.Effective(f, route.FilterOverrides, host.FilterOverrides)).OfType<RbacFilter>()])
            : all));
    }

    /// <param name="filter">One set of rules that holds for everything.</param>
    public static Authorizer? From(RbacFilter filter) => new RbacEngine([filter]) is { IsNone: false } all ? new Authorizer(all, null) : null;

    /// <param name="head">Given where <see cref="NeedsHead"/>.</param>
    /// <returns>What holds for this request; of one without a route what holds for the chain.</returns>
    public RbacEngine For(RequestHead? head, Random random) =>
        _routes is null || head is null ? _all : _routes.Find(head.Authority)?.Match(head, random) ?? _all;

    private static bool Overrides(VirtualHost host, HashSet<string> filters) =>
        Overrides(host.FilterOverrides, filters) || host.Routes.Any(r => Overrides(r.FilterOverrides, filters));

    private static bool Overrides(FilterOverrides overrides, HashSet<string> filters) => overrides.ByName.Keys.Any(filters.Contains);
}
