using Mesh.Config;
using Mesh.Traffic;

namespace Mesh.Routing;

/// <summary>A route configuration compiled for calls: authority to virtual host, then the first route that matches. Immutable and thread-safe.</summary>
/// <typeparam name="T">What the caller compiled out of each route.</typeparam>
internal sealed class RouteTable<T>
    where T : class
{
    private readonly Dictionary<string, VirtualHostRoutes<T>> _exact = new(StringComparer.OrdinalIgnoreCase);

    // Longest first: the most specific pattern wins (xDS VirtualHost.domains).
    private readonly List<(string Text, VirtualHostRoutes<T> Host)> _suffixes = [];
    private readonly List<(string Text, VirtualHostRoutes<T> Host)> _prefixes = [];
    private readonly VirtualHostRoutes<T>? _any;

    /// <param name="compile">Makes what <see cref="VirtualHostRoutes{T}.Match"/> returns; called once per route.</param>
    public RouteTable(RouteConfiguration configuration, Func<Route, T> compile)
        : this(configuration, (_, route) => compile(route))
    {
    }

    /// <param name="compile">Gets the route's virtual host too.</param>
    public RouteTable(RouteConfiguration configuration, Func<VirtualHost, Route, T> compile)
    {
        foreach (var virtualHost in configuration.VirtualHosts)
        {
            var host = new VirtualHostRoutes<T>(virtualHost, route => compile(virtualHost, route));
            foreach (var domain in virtualHost.Domains)
            {
                if (domain == "*")
                {
                    _any ??= host;
                }
                else if (domain.StartsWith('*'))
                {
                    _suffixes.Add((domain[1..], host));
                }
                else if (domain.EndsWith('*'))
                {
                    _prefixes.Add((domain[..^1], host));
                }
                else
                {
                    // The first wins when two virtual hosts claim one name.
                    _exact.TryAdd(domain, host);
                }
            }
        }

        // Stable: of two equally long ones the first wins.
        _suffixes = [.. _suffixes.OrderByDescending(s => s.Text.Length)];
        _prefixes = [.. _prefixes.OrderByDescending(p => p.Text.Length)];
    }

    /// <summary>The virtual host of an authority: exact, else longest suffix, else longest prefix, else <c>*</c>; without its port when the name with it is unknown.</summary>
    public VirtualHostRoutes<T>? Find(string authority)
    {
        var colon = authority.LastIndexOf(':');
        return FindSpecific(authority)
            ?? (colon > 0 && !authority.EndsWith(']') ? FindSpecific(authority[..colon]) : null)
            ?? _any;
    }

    private VirtualHostRoutes<T>? FindSpecific(string authority)
    {
        if (_exact.TryGetValue(authority, out var host))
        {
            return host;
        }

        foreach (var (text, suffixHost) in _suffixes)
        {
            // A wildcard stands for at least one character.
            if (authority.Length > text.Length && authority.EndsWith(text, StringComparison.OrdinalIgnoreCase))
            {
                return suffixHost;
            }
        }

        foreach (var (text, prefixHost) in _prefixes)
        {
            if (authority.Length > text.Length && authority.StartsWith(text, StringComparison.OrdinalIgnoreCase))
            {
                return prefixHost;
            }
        }

        return null;
    }
}

/// <summary>The routes of one virtual host, in order. Immutable and thread-safe.</summary>
internal sealed class VirtualHostRoutes<T>
    where T : class
{
    private readonly RouteMatcher[] _matchers;
    private readonly T[] _routes;

    public VirtualHostRoutes(VirtualHost host, Func<Route, T> compile)
    {
        Name = host.Name;
        _matchers = [.. host.Routes.Select(r => new RouteMatcher(r.Match))];
        _routes = [.. host.Routes.Select(compile)];
    }

    public string Name { get; }

    public IReadOnlyList<T> Routes => _routes;

    /// <summary>The only route there is to take, when no call needs to be looked at for it; else null.</summary>
    public T? Unconditional => _matchers is [{ TakesAll: true }, ..] ? _routes[0] : null;

    /// <summary>The first route that matches; null when none does.</summary>
    public T? Match(RequestHead head, Random random)
    {
        for (var i = 0; i < _matchers.Length; i++)
        {
            if (_matchers[i].Matches(head, random))
            {
                return _routes[i];
            }
        }

        return null;
    }
}
