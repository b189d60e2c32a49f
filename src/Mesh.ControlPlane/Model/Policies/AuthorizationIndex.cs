using System.Collections.Immutable;

namespace Mesh.ControlPlane.Model.Policies;

/// <summary>A model's authorization arranged by place. Built once per model; thread-safe.</summary>
/// <remarks>
/// AuthorizationPolicy and RequestAuthentication add up: whatever reaches a place holds there, in no order. ServerPolicy has one value per field:
/// cluster → Namespace → workload → Service → its port, the most specific holds; a workload behind several Services keeps to all of them.
/// A policy that can't be held closes what it targets but for probes: never open by accident.
/// </remarks>
internal sealed class AuthorizationIndex
{
    /// <summary>How names of rules begin that close what a policy can't be held at; the kind follows.</summary>
    public const string ClosedBy = "~closed-by-";

    private readonly ServerDefaults _defaults;
    // By endpoint and by workload: built when somebody asks where something listens, which most changes of endpoints make nobody do.
    private readonly Lazy<ILookup<(string Namespace, string HostPort), (ServiceName Service, ServicePort Port)>> _behind;
    private readonly Lazy<ILookup<(string Namespace, string Account, int Port), (ServiceName Service, ServicePort Port)>> _byAccount;
    private readonly Lazy<ILookup<(string Namespace, string Address), Workload>> _workloads;
    private readonly Lazy<ILookup<(string Namespace, string Account), Workload>> _accounts;
    private readonly ILookup<string, TrafficRoute> _routes;
    private readonly ILookup<(string Namespace, PolicyTarget Target), RuleInForce> _rules;
    private readonly ILookup<(string Namespace, PolicyTarget Target), IssuerInForce> _issuers;
    private readonly ILookup<(string Namespace, PolicyTarget Target), SettingValue> _server;
    private readonly ILookup<string, PolicyTarget> _selectors;
    private readonly ILookup<(string Namespace, PolicyTarget Target), RuleInForce> _closedByRoute;

    public AuthorizationIndex(MeshModel model, ServerDefaults defaults)
    {
        _defaults = defaults;
        _behind = new(() => (from service in model.Services.Values.OrderBy(s => s.Name.Name, StringComparer.Ordinal)
                   from port in service.Ports
                   from endpoint in service.Endpoints
                   where endpoint.PortName == port.Name
                   select (Key: (service.Name.Namespace, endpoint.HostPort), Value: (service.Name, port))).ToLookup(x => x.Key, x => x.Value));
        _byAccount = new(() => (from service in model.Services.Values.OrderBy(s => s.Name.Name, StringComparer.Ordinal)
                      from port in service.Ports
                      from endpoint in service.Endpoints
                      where endpoint.PortName == port.Name && endpoint.ServiceAccount is not null
                      select (Key: (service.Name.Namespace, endpoint.ServiceAccount!, endpoint.Port), Value: (service.Name, port))).ToLookup(x => x.Key, x => x.Value));
        _workloads = new(() => model.Workloads.ToLookup(w => (w.Namespace, w.Address)));
        _accounts = new(() => model.Workloads.Where(w => w.ServiceAccount is not null).ToLookup(w => (w.Namespace, w.ServiceAccount!)));
        _routes = model.Routes.ToLookup(r => r.Namespace);
        // What adds up has no order: places sort it by name.
        var at = (from policy in model.Policies
                  let addsUp = policy.Kind is AuthorizationSettings.Kind or AuthenticationSettings.Kind
                  from attachment in policy.Attachments
                  where (addsUp && attachment.IsAccepted) || attachment.Closes
                  select (Policy: policy, Attachment: attachment, Key: (policy.Name.Namespace, attachment.Target))).ToArray();
        _rules = at.Where(a => !a.Attachment.Whole).SelectMany(a => RulesOf(a.Policy, a.Attachment).Select(r => (a.Key, Rule: r))).ToLookup(x => x.Key, x => x.Rule);
        _closedByRoute = at.Where(a => a.Attachment.Whole).SelectMany(a => RulesOf(a.Policy, a.Attachment).Select(r => (a.Key, Rule: r))).ToLookup(x => x.Key, x => x.Rule);
        _issuers = at.Where(a => a.Attachment.IsAccepted).SelectMany(a => IssuersOf(a.Policy).Select(i => (a.Key, Issuer: i))).ToLookup(x => x.Key, x => x.Issuer);
        var server = (from policy in model.Policies
                      from attachment in policy.Attachments
                      where attachment.IsAccepted
                      from value in policy.Values
                      where ServerSettings.All.Contains(value.Setting)
                      select (Key: (policy.Name.Namespace, attachment.Target), Value: value)).ToArray();
        HasOpaque = Array.Exists(server, s => s.Value.Setting == ServerSettings.Protocol);
        _server = server.ToLookup(x => x.Key, x => x.Value);
        _selectors = at.Select(a => a.Key).Concat(server.Select(s => s.Key)).Where(k => k.Target.Kind == PolicyTargetKind.Workload).Distinct()
            .OrderBy(k => k.Target.Name, StringComparer.Ordinal).ToLookup(k => k.Namespace, k => k.Target);
    }

    /// <summary>Some ServerPolicy says how a port is read.</summary>
    public bool HasOpaque { get; }

    /// <summary>The namespace whose policies hold where nobody proved who asks: the asker's if a Service of it has an endpoint there, else that of the first Service that has.</summary>
    public string NamespaceOf(string asked, IReadOnlyList<string> addresses, int port) =>
        addresses.Any(a => _behind.Value.Contains((asked, HostPort(a, port)))) ? asked
            : _behind.Value.Where(b => addresses.Any(a => b.Key.HostPort == HostPort(a, port))).Select(b => b.Key.Namespace).Order(StringComparer.Ordinal).FirstOrDefault() ?? asked;

    /// <param name="addresses">IP literals under which the workload is reached.</param>
    public EffectiveAuthorization At(string ns, string? account, IReadOnlyList<string> addresses, int port)
    {
        var services = addresses.SelectMany(a => _behind.Value[(ns, HostPort(a, port))]).Distinct().ToArray();
        if (services.Length == 0 && account is not null)
        {
            // It is reached under another address than it has bound (a container's own): what this account serves on that port.
            services = [.. _byAccount.Value[(ns, account, port)].Distinct()];
        }

        var workloads = addresses.SelectMany(a => WorkloadsAt(ns, account, a, port)).Distinct().ToArray();
        if (workloads.Length == 0 && account is not null)
        {
            workloads = [.. _accounts.Value[(ns, account)].Where(w => w.Port is null || w.Port == port)];
        }

        PolicyTarget[] common =
        [
            new PolicyTarget(PolicyTargetKind.Namespace, ns, null),
            .. _selectors[ns].Where(s => workloads.Any(w => s.Selects(w.Labels))),
        ];
        PolicyTarget[] all = [.. common, .. services.SelectMany(s => OfService(s.Service, s.Port)).Distinct()];
        var routes = RoutesAt(ns, services);
        var closed = routes.SelectMany(r => OfRoute(r)).SelectMany(t => _closedByRoute[(ns, t)]);
        return Server(ns, common, services, new EffectiveAuthorization(ns, port)
        {
            Services = [.. services.Select(s => (s.Service, s.Port.Port))],
            Rules = Named(all.SelectMany(t => _rules[(ns, t)]).Concat(closed)),
            Routes = Own(ns, routes),
            Issuers = [.. all.SelectMany(t => _issuers[(ns, t)]).DistinctBy(i => i.Key).OrderBy(i => i.Key, StringComparer.Ordinal)],
            Probes = [.. workloads.SelectMany(w => w.Probes).Where(p => p.Port == port).Distinct().OrderBy(p => p.Path, StringComparer.Ordinal).ThenBy(p => p.Grpc)],
        });
    }

    /// <summary>The Pods or endpoints that listen there; where nothing says it, what has this account at the address (admin ports).</summary>
    private IEnumerable<Workload> WorkloadsAt(string ns, string? account, string address, int port)
    {
        var there = _workloads.Value[(ns, address)].ToArray();
        var exact = Array.FindAll(there, w => w.Port == port);
        var pods = Array.FindAll(there, w => w.Port is null);
        if (pods.Length > 1)
        {
            // Pods that share an address (host network, loopback).
            pods = Array.FindAll(pods, w => w.DeclaredPorts.Contains(port)) is { Length: > 0 } declared ? declared
                : exact.Length > 0 ? [] : account is null ? pods : Array.FindAll(pods, w => w.ServiceAccount == account);
        }

        return exact.Length + pods.Length > 0 ? exact.Concat(pods) : account is null ? [] : there.Where(w => w.ServiceAccount == account);
    }

    private EffectiveAuthorization Server(string ns, PolicyTarget[] common, (ServiceName Service, ServicePort Port)[] services, EffectiveAuthorization place)
    {
        var sources = ImmutableDictionary.CreateBuilder<Setting, SettingSource>();
        // Each Service's view of the port, most specific target first; without any Service the workload's own.
        PolicyTarget[][] views = services.Length == 0 ? [Upwards(common)] : [.. services.Select(s => (PolicyTarget[])[.. OfService(s.Service, s.Port).Reverse(), .. Upwards(common)])];
        return place with
        {
            Mtls = Value(ServerSettings.Mtls, _defaults.Mtls, static (a, b) => a > b ? a : b),
            // HTTP is judged by more: bytes only where everybody says so.
            Protocol = Value(ServerSettings.Protocol, ServerProtocol.HTTP, static (a, b) => a < b ? a : b),
            Access = Value(ServerSettings.Access, _defaults.Access, AccessModes.Both),
            Sources = sources.ToImmutable(),
        };

        T Value<T>(Setting<T> setting, T fallback, Func<T, T, T> both)
            where T : struct
        {
            T? result = null;
            SettingSource? source = null;
            foreach (var view in views)
            {
                var (value, said) = Holds(view, setting, fallback, both);
                var joined = result is { } before ? both(before, value) : value;
                source = result is null || !EqualityComparer<T>.Default.Equals(joined, result.Value) ? said : source;
                result = joined;
            }

            if (source is not null)
            {
                sources[setting] = source;
            }

            return result!.Value;
        }

        (T Value, SettingSource? Source) Holds<T>(PolicyTarget[] view, Setting<T> setting, T fallback, Func<T, T, T> both)
            where T : struct
        {
            foreach (var level in view.GroupBy(t => (t.Kind, t.Section is null)))
            {
                // Several selectors may mean one workload: both hold.
                SettingValue[] said = [.. level.SelectMany(t => _server[(ns, t)]).Where(v => v.Setting == setting)];
                if (said.Length > 0)
                {
                    var value = said.Select(v => (T)v.Value).Aggregate(both);
                    return (value, (Array.Find(said, v => v.Value.Equals(value)) ?? said[0]).Source);
                }
            }

            return (fallback, null);
        }

        static PolicyTarget[] Upwards(PolicyTarget[] common) => [.. common.Reverse()];
    }

    private static IEnumerable<PolicyTarget> OfService(ServiceName service, ServicePort port) =>
    [
        new PolicyTarget(PolicyTargetKind.Service, service.Name, null),
        .. port.Name.Length > 0 ? (PolicyTarget[])[new PolicyTarget(PolicyTargetKind.Service, service.Name, port.Name)] : [],
    ];

    /// <summary>Routes of the namespace along which requests come to these Services: as parents or as backends.</summary>
    private TrafficRoute[] RoutesAt(string ns, (ServiceName Service, ServicePort Port)[] services) =>
        services.Length == 0 ? [] : [.. _routes[ns].Where(r => services.Any(s => r.Leads(s.Service, s.Port.Port)))];

    private ImmutableArray<RouteInForce> Own(string ns, TrafficRoute[] routes)
    {
        RouteInForce[] own = [.. routes.Select(route => new RouteInForce(route, [.. route.Rules.Select(rule => Named(OfRule(route, rule).SelectMany(t => _rules[(ns, t)])))]))];
        return Array.Exists(own, r => r.Rules.Any(rules => !rules.IsEmpty)) ? [.. own] : [];
    }

    private static IEnumerable<PolicyTarget> OfRoute(TrafficRoute route) => route.Rules.SelectMany(rule => OfRule(route, rule)).Distinct();

    private static IEnumerable<PolicyTarget> OfRule(TrafficRoute route, RouteRule rule)
    {
        var kind = route.Grpc ? PolicyTargetKind.GRPCRoute : PolicyTargetKind.HTTPRoute;
        yield return new PolicyTarget(kind, route.Name, null);
        if (rule.Name.Length > 0)
        {
            yield return new PolicyTarget(kind, route.Name, rule.Name);
        }
    }

    private static ImmutableArray<RuleInForce> Named(IEnumerable<RuleInForce> rules) => [.. rules.DistinctBy(r => r.Name).OrderBy(r => r.Name, StringComparer.Ordinal)];

    private static IEnumerable<RuleInForce> RulesOf(TrafficPolicy policy, PolicyAttachment attachment)
    {
        if (attachment.Closes)
        {
            // No rule of a file has such a name.
            return [new RuleInForce(policy.Kind, policy.Name, new AuthorizationRule(ClosedBy + policy.Kind, RuleAction.Deny, [], [], policy.Where), attachment.Target, Audit: false)];
        }

        return policy.Values.Where(v => v.Setting == AuthorizationSettings.Rules).Select(v => (AuthorizationRules)v.Value)
            .SelectMany(rules => rules.Rules.Select(r => new RuleInForce(policy.Kind, policy.Name, r, attachment.Target, rules.Audit || r.Action == RuleAction.Audit)));
    }

    private static IEnumerable<IssuerInForce> IssuersOf(TrafficPolicy policy) => policy.Values.Where(v => v.Setting == AuthenticationSettings.Jwt)
        .SelectMany(v => ((ImmutableArray<JwtIssuer>)v.Value).Select((issuer, i) => new IssuerInForce(policy.Name, issuer, $"{policy.Name}/{i}")));

    private static string HostPort(string address, int port) => address.Contains(':', StringComparison.Ordinal) ? $"[{address}]:{port}" : $"{address}:{port}";
}
