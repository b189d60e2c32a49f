using System.Collections.Immutable;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;
using Mesh.ControlPlane.Sources.Manifests;
using Mesh.ControlPlane.Translation;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Api;

/// <summary>Explains what holds for calls to a Service: what <c>mesh config explain</c> prints.</summary>
internal static class Explain
{
    public static IResult Answer(ModelStore store, MeshControlPlaneOptions options, string? service, string? @namespace, int? port, string? caller)
    {
        var model = store.Current;
        if (string.IsNullOrEmpty(service))
        {
            return ApiEndpoints.Problem(400, "No service named", "Give 'service', and 'namespace' where several Services have that name.");
        }

        SpiffeId? identity = null;
        if (caller is { Length: > 0 } && !TryCaller(caller, options.TrustDomain, out identity))
        {
            return ApiEndpoints.Problem(400, "Bad caller", $"caller is '{caller}'. Give namespace/serviceaccount, such as shop/storefront.");
        }

        if (Find(model, options.ClusterDomain, service, @namespace, out var name) is { } problem)
        {
            return problem;
        }

        var found = model.Services[name];
        if (port is not null && !found.Ports.Any(p => p.Port == port))
        {
            return ApiEndpoints.Problem(404, "No such port", $"Service '{name}' has no port {port}. Use one of {string.Join(", ", found.Ports.Select(p => p.Port))}.");
        }

        return Results.Ok(Of(model, found, port, identity));
    }

    /// <param name="port">Null is all of them.</param>
    /// <param name="caller">Null: every rule is shown, with whom it is for.</param>
    public static Explanation Of(MeshModel model, Service service, int? port, SpiffeId? caller)
    {
        var index = new ModelIndex(model);
        var text = caller is null ? null : $"{caller.Namespace}/{caller.ServiceAccount}";
        return new Explanation(service.Name.Name, service.Name.Namespace, text,
            [.. service.Ports.Where(p => port is null || p.Port == port).OrderBy(p => p.Port).Select(p => Port(model, index, service, p, caller))]);
    }

    private static ExplainedPort Port(MeshModel model, ModelIndex index, Service service, ServicePort port, SpiffeId? caller)
    {
        var settings = index.Policies.ForPort(service.Name, port.Port);
        var routes = RuleNarrowing.Apply(index.RoutesFor(service.Name, port.Port, caller?.Namespace ?? service.Name.Namespace), index.Policies, caller);
        var others = routes.SelectMany(r => r.Rules.Select((rule, i) => (Route: Key(r), Rule: i, rule.ForOthers))).Where(r => r.ForOthers).Select(r => (r.Route, r.Rule)).ToHashSet();
        // All are shown where they would be asked, also those that are kept for others.
        var ordered = RoutePrecedence.Order([.. routes.Select(r => r with { Rules = [.. r.Rules.Select(rule => rule with { ForOthers = false })] })]).ToList();
        var rules = new List<ExplainedRule>();
        (ServiceName, bool, int)? before = null;
        foreach (var matched in ordered)
        {
            var key = (new ServiceName(matched.Route.Namespace, matched.Route.Name), matched.Route.Grpc, matched.Index);
            if (key == before)
            {
                rules[^1] = rules[^1] with { Matches = [.. rules[^1].Matches, matched.Match.ToString()] };
                continue;
            }

            before = key;
            var applies = caller is null || !others.Contains((Key(matched.Route), matched.Index));
            rules.Add(Rule(model, matched, applies, settings, index.Policies.ForRule(service.Name, port.Port, matched.Route, matched.Index)));
        }

        var caught = ordered.Any(r => r.IsCatchAll && !others.Contains((Key(r.Route), r.Index)));
        return new ExplainedPort(port.Port, port.Name, Values(PolicySettings.All, settings, null), rules, rules.Count == 0 || caught ? null : "404, for gRPC UNIMPLEMENTED")
        {
            Connections = [.. Connections(model, index, service, port, caller?.Namespace ?? service.Name.Namespace)],
        };

        static (ServiceName, bool) Key(TrafficRoute route) => (new ServiceName(route.Namespace, route.Name), route.Grpc);
    }

    private static IEnumerable<ExplainedConnection> Connections(MeshModel model, ModelIndex index, Service service, ServicePort port, string callerNamespace)
    {
        var taken = new HashSet<string>(StringComparer.Ordinal);
        foreach (var route in PortContent.Of(port).Tls ? index.ConnectionRoutesFor(service.Name, port.Port, callerNamespace, tls: true) : [])
        {
            if (route.Hostnames.Where(taken.Add).ToArray() is { Length: > 0 } names)
            {
                yield return Connection(model, route, names);
            }
        }

        // One holds at a port, the oldest.
        foreach (var route in index.ConnectionRoutesFor(service.Name, port.Port, callerNamespace, tls: false).Take(1))
        {
            yield return Connection(model, route, []);
        }
    }

    private static ExplainedConnection Connection(MeshModel model, ConnectionRoute route, string[] names) => new(
        route.Tls ? "TLSRoute" : "TCPRoute", route.Namespace, route.Name, route.Where, names, [.. route.Backends.Select(b => Backend(model, b))]);

    private static ExplainedBackend Backend(MeshModel model, BackendRef backend) => new(backend.Service.Namespace, backend.Service.Name, backend.Port, backend.Weight, backend.IsValid(model));

    private static ExplainedRule Rule(MeshModel model, MatchedRule matched, bool applies, EffectiveSettings ofPort, EffectiveSettings ofRule) => new(
        matched.Route.Grpc ? "GRPCRoute" : "HTTPRoute", matched.Route.Namespace, matched.Route.Name,
        matched.Rule.Name.Length > 0 ? matched.Rule.Name : $"{matched.Index}", matched.Rule.Where, applies, [matched.Match.ToString()],
        [.. matched.Rule.Backends.Select(b => Backend(model, b))],
        [.. Filters(matched.Rule)], Values(PolicySettings.OfRules, ofRule, ofPort));

    private static IEnumerable<string> Filters(RouteRule rule)
    {
        var filters = rule.Filters;
        if (filters.Direct is { } direct)
        {
            yield return $"answers {direct.Status}";
        }

        if (filters.Redirect is { } redirect)
        {
            yield return $"redirects with {redirect.StatusCode}";
        }

        if (filters.RequestHeaders is not null)
        {
            yield return "changes request headers";
        }

        if (filters.ResponseHeaders is not null)
        {
            yield return "changes response headers";
        }

        if (filters.Rewrite is { } rewrite)
        {
            yield return $"rewrites {string.Join(" and ", new[] { rewrite.Hostname is null ? null : "host", rewrite.Path is null ? null : "path" }.OfType<string>())}";
        }

        foreach (var mirror in filters.Mirrors)
        {
            yield return string.Create(System.Globalization.CultureInfo.InvariantCulture, $"copies {mirror.PerMillion / 10_000d:0.####} % to {mirror.Backend.Service}:{mirror.Backend.Port}");
        }

        if (rule.Session is { } session)
        {
            yield return $"keeps sessions by {(session.ByHeader ? "header" : "cookie")} {session.Name}";
        }
    }

    /// <param name="beside">Only what differs from these; null: everything that matters.</param>
    private static List<ExplainedSetting> Values(ImmutableArray<Setting> settings, EffectiveSettings effective, EffectiveSettings? beside) =>
    [
        .. from setting in settings
           where setting.Matters(effective)
           let value = effective.Find(setting)
           where beside is null || (value is not null && !ReferenceEquals(value, beside.Find(setting)))
           select new ExplainedSetting(setting.Name, setting.Show(value?.Value ?? setting.DefaultValue), value is null ? ExplainedSource.Default
               : new ExplainedSource(value.Source.Kind, value.Source.Name.Namespace, value.Source.Name.Name, value.Source.Field, value.Source.Where)),
    ];

    /// <returns>A problem, or null with the Service's name.</returns>
    public static IResult? Find(MeshModel model, string clusterDomain, string service, string? ns, out ServiceName name)
    {
        name = default;
        if (ns is null or "" && !service.Contains('.', StringComparison.Ordinal))
        {
            var named = model.Services.Keys.Where(s => s.Name == service).OrderBy(s => s.Namespace, StringComparer.Ordinal).ToList();
            if (named is [var only])
            {
                name = only;
                return null;
            }

            if (named.Count > 1)
            {
                return ApiEndpoints.Problem(400, "Several services", $"'{service}' is a Service in {string.Join(", ", named.Select(s => s.Namespace))}. Say which with 'namespace'.");
            }
        }
        else if (new ResourceNames(clusterDomain).TryHost(service, ns ?? string.Empty, out name) && model.Services.ContainsKey(name))
        {
            return null;
        }

        var asked = name.Name is null ? service : ns is null or "" ? name.ToString() : $"{ns}/{service}";
        var near = Suggestion.For(name.Name ?? service, model.Services.Keys.Select(s => s.Name).Distinct().Order(StringComparer.Ordinal));
        var elsewhere = name.Name is null ? [] : model.Services.Keys.Where(s => s.Name == service).Select(s => s.Namespace).Order(StringComparer.Ordinal).ToArray();
        var hint = elsewhere.Length > 0 ? $" There is one in {string.Join(", ", elsewhere)}." : near;
        return ApiEndpoints.Problem(404, "No such service", $"There is no Service '{asked}'.{hint}");
    }

    private static bool TryCaller(string text, string trustDomain, out SpiffeId? identity)
    {
        identity = null;
        return text.Split('/') is [{ Length: > 0 } ns, { Length: > 0 } account]
            && SpiffeId.TryParse($"spiffe://{trustDomain}/ns/{ns}/sa/{account}", out identity) && identity.ServiceAccount is not null;
    }
}
