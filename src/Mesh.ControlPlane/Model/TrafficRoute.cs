using System.Collections.Immutable;

namespace Mesh.ControlPlane.Model;

/// <summary>An HTTPRoute or GRPCRoute attached to Services (Gateway API, GAMMA).</summary>
/// <param name="Parents">The Services whose callers it steers; a null port means every port.</param>
internal sealed record TrafficRoute(string Namespace, string Name, bool Grpc, ImmutableArray<ParentRef> Parents, ImmutableArray<RouteRule> Rules)
{
    /// <summary>File and line.</summary>
    public string Where { get; init; } = string.Empty;

    /// <summary>Requests along it come to this port of the Service: as its own callers', or as a backend's.</summary>
    public bool Leads(ServiceName service, int port) =>
        Parents.Any(p => p.Service == service && (p.Port is null || p.Port == port))
        || Rules.Any(r => r.Backends.Any(b => b.Service == service && b.Port == port && !b.Refused));
}

internal sealed record ParentRef(ServiceName Service, int? Port);

/// <param name="Name">May be empty.</param>
/// <param name="Matches">Any of them; empty matches all.</param>
/// <param name="Backends">May be empty: then every call is answered 500 (Gateway API).</param>
internal sealed record RouteRule(string Name, ImmutableArray<RuleMatch> Matches, ImmutableArray<BackendRef> Backends)
{
    /// <summary>File and line.</summary>
    public string Where { get; init; } = string.Empty;

    /// <summary>A policy keeps it for certain callers.</summary>
    public bool ForSome { get; init; }

    /// <summary>And the one that asks is none of them.</summary>
    public bool ForOthers { get; init; }

    /// <summary><c>timeouts.request</c>; zero is none, null is not said.</summary>
    public TimeSpan? RequestTimeout { get; init; }

    /// <summary><c>timeouts.backendRequest</c>: one attempt; zero is none, null is not said.</summary>
    public TimeSpan? BackendRequestTimeout { get; init; }

    /// <summary><c>retry</c> (GEP-1731); null is the mesh's default.</summary>
    public RuleRetry? Retry { get; init; }

    public RuleFilters Filters { get; init; } = RuleFilters.None;

    /// <summary><c>sessionPersistence</c>; null is none.</summary>
    public SessionPersistence? Session { get; init; }
}

internal sealed record RuleRetry(int? Attempts, TimeSpan? Backoff, ImmutableArray<int> Codes);

/// <summary>All conditions hold.</summary>
/// <param name="Method">HTTP method; null is any.</param>
internal sealed record RuleMatch(PathMatch? Path, string? Method, ImmutableArray<NameValueMatch> Headers, ImmutableArray<NameValueMatch> QueryParameters)
{
    public override string ToString()
    {
        string[] parts =
        [
            .. Method is null && Path is null ? (string[])[] : [$"{(Method is null ? string.Empty : Method + " ")}{Path?.ToString() ?? "any path"}"],
            .. Headers.Select(h => $"header {h}"),
            .. QueryParameters.Select(q => $"query {q}"),
        ];
        return parts.Length == 0 ? "everything" : string.Join(", ", parts);
    }
}

internal sealed record PathMatch(PathMatchKind Kind, string Value)
{
    public bool IsEverything => Kind == PathMatchKind.PathPrefix && Value == "/";

    public override string ToString() => Kind switch
    {
        PathMatchKind.PathPrefix => Value.EndsWith('/') ? $"{Value}*" : $"{Value}/*",
        PathMatchKind.RegularExpression => $"~ {Value}",
        _ => Value,
    };
}

internal enum PathMatchKind
{
    Exact,
    PathPrefix,
    RegularExpression,

    /// <summary>The path's shape, such as <c>/users/{id}</c> (MatchPolicy).</summary>
    Template,
}

internal sealed record NameValueMatch(string Name, string Value, bool IsRegularExpression)
{
    public override string ToString() => $"{Name} {(IsRegularExpression ? "~" : "=")} {Value}";
}

/// <param name="Service">Where to; it may be unknown, then its share is answered 500 (Gateway API).</param>
/// <param name="Weight">0 or more; default 1.</param>
internal sealed record BackendRef(ServiceName Service, int Port, int Weight)
{
    /// <summary>The reference may not be followed (another namespace without a ReferenceGrant, an unknown kind, a filter we lack): its share is answered 500.</summary>
    public bool Refused { get; init; }

    /// <summary>Changes of what goes to this backend only; null is none.</summary>
    public HeaderModifier? RequestHeaders { get; init; }

    public HeaderModifier? ResponseHeaders { get; init; }

    /// <summary>It leads somewhere.</summary>
    public bool IsValid(MeshModel model) => !Refused && model.Services.TryGetValue(Service, out var service) && service.FindPort(Port) is not null;
}
