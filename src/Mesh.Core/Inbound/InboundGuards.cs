using Mesh.Config;
using Mesh.Policy;

namespace Mesh.Inbound;

/// <summary>What decides whether a request may be served, before limits say whether there is room. Immutable and thread-safe.</summary>
/// <param name="Authenticator">Of tokens; null when none is looked at.</param>
/// <param name="IsGuarded">Something decides by what the request says, so that it must mean one thing only.</param>
internal sealed record InboundGuards(InboundAuthenticator? Authenticator, bool IsGuarded)
{
    /// <summary>Headers by which routes with rules of their own are told apart: two lines of one could be read as either.</summary>
    public IReadOnlyList<string> RouteHeaders { get; init; } = [];

    /// <summary>Query parameters by which they are told apart: an app may read a repeated one, or another case, otherwise.</summary>
    public IReadOnlyList<string> RouteParameters { get; init; } = [];

    public static InboundGuards None { get; } = new(null, false);

    /// <param name="http">Null is nothing.</param>
    public static InboundGuards From(HttpConnectionManager? http, JwksStore? keys, TimeProvider time)
    {
        var guarded = http is not null && (http.Filters.Any(f => f.Settings.Guards)
            || (http.Inline?.VirtualHosts.Any(h => Guards(h.FilterOverrides) || h.Routes.Any(r => Guards(r.FilterOverrides))) ?? false));
        if (!guarded)
        {
            return None;
        }

        RouteMatch[] matches = [.. http!.Inline?.VirtualHosts.Where(h => h.Routes.Any(r => Guards(r.FilterOverrides))).SelectMany(h => h.Routes).Select(r => r.Match) ?? []];
        return new InboundGuards(InboundAuthenticator.From(http, keys, time), true)
        {
            RouteHeaders = [.. matches.SelectMany(m => m.Headers).Select(h => h.Name).Where(n => !n.StartsWith(':')).Distinct(StringComparer.OrdinalIgnoreCase)],
            RouteParameters = [.. matches.SelectMany(m => m.QueryParameters).Select(q => q.Name).Distinct(StringComparer.Ordinal)],
        };
    }

    private static bool Guards(FilterOverrides overrides) => overrides.ByName.Values.Any(s => s is { Guards: true });
}
