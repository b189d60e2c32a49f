using System.Collections.Immutable;

namespace Mesh.ControlPlane.Model.Policies;

/// <summary>What holds for requests that come in at one port of one workload, and who said it. Immutable.</summary>
/// <param name="Namespace">Whose policies hold.</param>
internal sealed record EffectiveAuthorization(string Namespace, int Port)
{
    /// <summary>The Services that it stands behind there, in its namespace.</summary>
    public ImmutableArray<(ServiceName Service, int Port)> Services { get; init; } = [];

    public MtlsMode Mtls { get; init; }

    public ServerProtocol Protocol { get; init; }

    public AccessMode Access { get; init; }

    /// <summary>Who said mtls, protocol and access; what is missing is the cluster's.</summary>
    public ImmutableDictionary<Setting, SettingSource> Sources { get; init; } = ImmutableDictionary<Setting, SettingSource>.Empty;

    /// <summary>For every request, by name on the wire.</summary>
    public ImmutableArray<RuleInForce> Rules { get; init; } = [];

    /// <summary>Routes along which requests come, with what holds for their rules besides. Empty when no policy is about any of them.</summary>
    public ImmutableArray<RouteInForce> Routes { get; init; } = [];

    /// <summary>Whose tokens are believed, by key.</summary>
    public ImmutableArray<IssuerInForce> Issuers { get; init; } = [];

    public ImmutableArray<Probe> Probes { get; init; } = [];

    /// <summary>All rules of any request here.</summary>
    public IEnumerable<RuleInForce> All => Rules.Concat(Routes.SelectMany(r => r.Rules).SelectMany(r => r)).Distinct();

    /// <summary>The policies that have a say here, tokens and modes included.</summary>
    public IEnumerable<(string Kind, ServiceName Name)> Policies =>
        All.Select(r => (r.Kind, r.Policy)).Concat(Issuers.Select(i => (AuthenticationSettings.Kind, i.Policy))).Concat(Sources.Values.Select(s => (s.Kind, s.Name))).Distinct();

    /// <summary>What holds at an address.</summary>
    /// <param name="ns">Of the workload: another namespace's policies have no say.</param>
    /// <param name="account">Its service account, where it is known: finds the workload behind a port that nothing declares.</param>
    public static EffectiveAuthorization For(MeshModel model, ServerDefaults defaults, string ns, string? account, string address, int port) =>
        new AuthorizationIndex(model, defaults).At(ns, account, [address], port);

    /// <summary>What holds at each endpoint behind a Service's port.</summary>
    public static IReadOnlyList<(ServiceEndpoint Endpoint, EffectiveAuthorization Holds)> For(MeshModel model, ServerDefaults defaults, ServiceName service, int port)
    {
        if (!model.Services.TryGetValue(service, out var found) || found.Ports.FirstOrDefault(p => p.Port == port) is not { } named)
        {
            return [];
        }

        var index = new AuthorizationIndex(model, defaults);
        return [.. found.Endpoints.Where(e => e.PortName == named.Name).Select(e => (e, index.At(service.Namespace, e.ServiceAccount, [e.Address], e.Port)))];
    }
}

/// <summary>A rule with the policy that it stands in.</summary>
/// <param name="Kind">Of the policy.</param>
/// <param name="Target">How it came here: the least specific of the policy's targets.</param>
/// <param name="Audit">Asked and counted, refuses nobody.</param>
internal sealed record RuleInForce(string Kind, ServiceName Policy, AuthorizationRule Rule, PolicyTarget Target, bool Audit)
{
    /// <summary>Its name on the wire, in logs and metrics.</summary>
    public string Name => $"{Policy}/{Rule.Name}";

    public bool IsAllow => Rule.Action == RuleAction.Allow;
}

/// <param name="Rules">By the route's rules: what holds for their requests besides.</param>
internal sealed record RouteInForce(TrafficRoute Route, ImmutableArray<ImmutableArray<RuleInForce>> Rules);

/// <param name="Key">Under which its claims stand.</param>
internal sealed record IssuerInForce(ServiceName Policy, JwtIssuer Issuer, string Key);
