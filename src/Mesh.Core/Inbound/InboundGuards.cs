using Mesh.Config;
using Mesh.Policy;

namespace Mesh.Inbound;

/// <summary>What decides whether a request may be served, before limits say whether there is room. Immutable and thread-safe.</summary>
/// <param name="Authenticator">Of tokens; null when none is looked at.</param>
/// <param name="IsGuarded">Something decides by what the request says, so that it must mean one thing only.</param>
internal sealed record InboundGuards(InboundAuthenticator? Authenticator, bool IsGuarded)
{
    public static InboundGuards None { get; } = new(null, false);

    /// <param name="http">Null is nothing.</param>
    public static InboundGuards From(HttpConnectionManager? http, JwksStore? keys, TimeProvider time)
    {
        var guarded = http is not null && (http.Filters.Any(f => f.Settings.Guards)
            || (http.Inline?.VirtualHosts.Any(h => Guards(h.FilterOverrides) || h.Routes.Any(r => Guards(r.FilterOverrides))) ?? false));
        return guarded ? new InboundGuards(InboundAuthenticator.From(http, keys, time), true) : None;
    }

    private static bool Guards(FilterOverrides overrides) => overrides.ByName.Values.Any(s => s is { Guards: true });
}
