namespace Mesh.ControlPlane.Model.Policies;

/// <summary>A model's policies arranged by what they are attached to. Built once per model; thread-safe.</summary>
/// <remarks>
/// The hierarchy is Namespace → Service → its port → route → its rule → the rule's own fields; field by field the most specific value holds.
/// A route's own fields go before every policy: policies give defaults, and what stands in the object itself is no default (GEP-713).
/// </remarks>
internal sealed class EffectivePolicies
{
    private readonly Dictionary<(string Namespace, PolicyTarget Target), List<SettingValue>> _values = [];
    private readonly HashSet<Setting> _said = [];
    private readonly Dictionary<ServiceName, Service> _services;

    public EffectivePolicies(MeshModel model)
    {
        _services = model.Services.Values.ToDictionary(s => s.Name);
        // By kind's name, so that RetryPolicy's perTryTimeout goes before TimeoutPolicy's attempt on the same target.
        foreach (var policy in model.Policies.OrderBy(p => p.Kind, StringComparer.Ordinal))
        {
            foreach (var attachment in policy.Attachments.Where(a => a.IsAccepted))
            {
                var key = (policy.Name.Namespace, attachment.Target);
                if (!_values.TryGetValue(key, out var values))
                {
                    _values[key] = values = [];
                }

                values.AddRange(policy.Values);
                _said.UnionWith(policy.Values.Select(v => v.Setting));
            }
        }
    }

    /// <summary>False: no policy says anything of it, anywhere.</summary>
    public bool IsSaidAnywhere(Setting setting) => _said.Contains(setting);

    public EffectiveSettings ForPort(ServiceName service, int port) => _said.Count == 0 ? EffectiveSettings.None : new(AtPort(service, port));

    /// <param name="port">Of the Service whose callers the route steers.</param>
    /// <param name="rule">Its position in the route.</param>
    public EffectiveSettings ForRule(ServiceName service, int port, TrafficRoute route, int rule) =>
        new([.. OwnFields(route, rule), .. AtRule(route, rule), .. AtPort(service, port)]);

    /// <summary>Only what is said of the rule and its route: what narrows it.</summary>
    public EffectiveSettings ForRuleAlone(TrafficRoute route, int rule) => new(AtRule(route, rule));

    private IEnumerable<SettingValue> AtRule(TrafficRoute route, int rule)
    {
        var kind = route.Grpc ? PolicyTargetKind.GRPCRoute : PolicyTargetKind.HTTPRoute;
        var section = route.Rules[rule].Name is { Length: > 0 } name ? At(route.Namespace, new PolicyTarget(kind, route.Name, name)) : [];
        return section.Concat(At(route.Namespace, new PolicyTarget(kind, route.Name, null)));
    }

    private IEnumerable<SettingValue> AtPort(ServiceName service, int port)
    {
        var name = _services.TryGetValue(service, out var found) ? found.Ports.FirstOrDefault(p => p.Port == port)?.Name : null;
        return (name is { Length: > 0 } ? At(service.Namespace, new PolicyTarget(PolicyTargetKind.Service, service.Name, name)) : [])
            .Concat(At(service.Namespace, new PolicyTarget(PolicyTargetKind.Service, service.Name, null)))
            .Concat(At(service.Namespace, new PolicyTarget(PolicyTargetKind.Namespace, service.Namespace, null)));
    }

    private List<SettingValue> At(string ns, PolicyTarget target) => _values.TryGetValue((ns, target), out var values) ? values : [];

    /// <summary><c>timeouts</c> (GEP-1742) and <c>retry</c> (GEP-1731) of the rule.</summary>
    private static IEnumerable<SettingValue> OwnFields(TrafficRoute route, int position)
    {
        var rule = route.Rules[position];
        if (rule.RequestTimeout is { } request)
        {
            yield return Own(TimeoutSettings.Request, request, "timeouts.request");
        }

        if (rule.BackendRequestTimeout is { } attempt)
        {
            yield return Own(TimeoutSettings.Attempt, attempt, "timeouts.backendRequest");
        }

        if (rule.Retry is not { } retry)
        {
            yield break;
        }

        if (retry.Attempts is { } attempts)
        {
            yield return Own(RetrySettings.Attempts, attempts, "retry.attempts");
        }

        if (retry.Backoff is { } backoff)
        {
            yield return Own(RetrySettings.BackoffBase, backoff, "retry.backoff");
            yield return Own(RetrySettings.BackoffMax, TimeSpan.Zero, "retry.backoff");
        }

        if (!retry.Codes.IsEmpty)
        {
            // GEP-1731: these statuses and no others; that a connection failed is no status.
            yield return Own(RetrySettings.On, RetrySettings.Connection, "retry.codes");
            yield return Own(RetrySettings.StatusCodes, retry.Codes, "retry.codes");
        }

        SettingValue Own<T>(Setting<T> setting, T value, string field)
            where T : notnull => new(setting, value, new SettingSource(
                route.Grpc ? "GRPCRoute" : "HTTPRoute", new ServiceName(route.Namespace, route.Name), $"spec.rules[{position}].{field}", rule.Where));
    }
}
