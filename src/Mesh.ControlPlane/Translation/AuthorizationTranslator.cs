using Google.Protobuf.WellKnownTypes;
using Mesh.ControlPlane.Model.Policies;
using Mesh.Protos.Envoy.Hcm;
using Mesh.Protos.Envoy.Listener;
using Mesh.Protos.Envoy.NetworkFilters;
using Mesh.Spiffe;
using HttpRbac = Mesh.Protos.Envoy.Filters.RBAC;
using Route = Mesh.Protos.Envoy.Route.Route;
using NetworkRbac = Mesh.Protos.Envoy.NetworkFilters.RBAC;

namespace Mesh.ControlPlane.Translation;

/// <summary>Writes who may call what at one port of a workload: filters and routes of an inbound listener, whoever asks for it.</summary>
/// <remarks>
/// HTTP: <c>jwt_authn</c>, then one RBAC filter for Deny, then one for Allow; each only where it has something to say. A route's own rules replace a filter's configuration as a whole,
/// so they are written together with what holds for the whole port; for servers that are not ours they stand in the filters themselves. TCP: the same two as network filters.
/// </remarks>
internal sealed class AuthorizationTranslator(TrustDomain trustDomain, ServerDefaults defaults)
{
    public const string DenyFilter = "io.meshlib.deny";
    public const string AllowFilter = "io.meshlib.allow";
    private const string NetworkFilter = "envoy.filters.network.rbac";
    private const string TcpProxyFilter = "envoy.filters.network.tcp_proxy";

    private readonly PrincipalTranslator _principals = new(trustDomain, defaults);

    /// <summary>The filters before limits and router, in order.</summary>
    public HttpFilter[] Filters(EffectiveAuthorization place, EffectivePolicies policies, RuleAudience audience)
    {
        var rbac = Rbac(place, audience, policies);
        var (deny, allow) = (rbac.Deny(place.Rules), rbac.Allow(place.Rules));
        // A route's rules need a filter to stand for, where routes override.
        RuleInForce[] byRoute = audience.IsMesh ? [.. place.Routes.SelectMany(r => r.Rules).SelectMany(r => r)] : [];
        return
        [
            .. audience.IsMesh && JwtTranslator.Filter(place.Issuers) is { } jwt ? (HttpFilter[])[jwt] : [],
            .. deny.IsEmpty && !Array.Exists(byRoute, r => !r.IsAllow) ? (HttpFilter[])[] : [Filter(DenyFilter, deny)],
            .. allow.IsEmpty && !Array.Exists(byRoute, r => r.IsAllow) ? (HttpFilter[])[] : [Filter(AllowFilter, allow)],
        ];
    }

    /// <summary>Of the plaintext chain of a strict port, which answers nothing but probes; null when there are none, and so no such chain.</summary>
    public HttpFilter? OnlyProbes(EffectiveAuthorization place) => place.Probes.IsEmpty ? null : Filter(DenyFilter, Rbac(place, RuleAudience.OfMesh).OnlyProbes());

    /// <summary>The routes of requests for which more holds than for the whole port; what none of them takes goes to the caller's catch-all. Of servers that are not ours there are none: their filters say it all.</summary>
    public IEnumerable<Route> Routes(EffectiveAuthorization place, EffectivePolicies policies, RuleAudience audience) =>
        place.Routes.IsEmpty || !audience.IsMesh ? [] : new InboundRoutes(place, Rbac(place, audience)).Write(policies);

    /// <summary>The filters of an opaque chain, its end included.</summary>
    public Filter[] NetworkFilters(EffectiveAuthorization place)
    {
        var rbac = Rbac(place, RuleAudience.OfMeshConnections);
        // Of bytes it can't be told which route they are: what a route refuses, its workloads refuse.
        var byRoute = place.Routes.SelectMany(r => r.Rules).SelectMany(r => r).ToArray();
        var (deny, allow) = (rbac.Deny(place.Rules.Concat(byRoute)), rbac.Allow(place.Rules.Any(r => r.IsAllow) ? place.Rules : [.. place.Rules, .. byRoute]));
        return
        [
            .. deny.IsEmpty ? (Filter[])[] : [Network("deny", deny)],
            .. allow.IsEmpty ? (Filter[])[] : [Network("allow", allow)],
            new Filter { Name = TcpProxyFilter, TypedConfig = Any.Pack(new TcpProxy { StatPrefix = "inbound", Cluster = "inbound" }) },
        ];
    }

    private RbacTranslator Rbac(EffectiveAuthorization place, RuleAudience audience, EffectivePolicies? policies = null) => new(_principals, place, audience)
    {
        Routes = audience.IsMesh || policies is null || place.Routes.IsEmpty ? FoldedRoutes.None : FoldedRoutes.Of(place, policies),
    };

    public static HttpRbac Config(RbacPair pair) => new() { Rules = pair.Rules, ShadowRules = pair.Shadow };

    private static HttpFilter Filter(string name, RbacPair pair) => new() { Name = name, TypedConfig = Any.Pack(Config(pair)) };

    private static Filter Network(string what, RbacPair pair) => new()
    {
        Name = NetworkFilter,
        TypedConfig = Any.Pack(new NetworkRbac { Rules = pair.Rules, ShadowRules = pair.Shadow, StatPrefix = $"inbound.{what}" }),
    };
}
