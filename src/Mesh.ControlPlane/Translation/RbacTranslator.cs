using Mesh.ControlPlane.Model.Policies;
using Mesh.Protos.Envoy.Rbac;
using RbacPolicy = Mesh.Protos.Envoy.Rbac.Policy;

namespace Mesh.ControlPlane.Translation;

/// <summary>What one RBAC filter is told: what it enforces and what it only counts. Null is nothing.</summary>
internal readonly record struct RbacPair(RBAC? Rules, RBAC? Shadow)
{
    public bool IsEmpty => Rules is null && Shadow is null;
}

/// <summary>Writes the rules in force at a place as RBAC: one for Deny, one for Allow.</summary>
/// <remarks>
/// Policies are named <c>namespace/policy/rule</c>, the default <c>default/…</c>, probes <c>probes</c>, and stand in the order of their names: equal rules give equal bytes.
/// With an Allow rule in force what matches none is refused, even where none of them can be asked; without one the access mode decides.
/// Under access audit Allow rules are counted and refuse nobody.
/// </remarks>
internal sealed class RbacTranslator(PrincipalTranslator principals, EffectiveAuthorization place, RuleAudience audience)
{
    private const string Strict = "default/strict";
    private const string Closed = "default/deny";
    private const string ProbesName = "probes";
    private readonly Permission? _probes = PermissionTranslator.Probes(place.Probes, audience);

    /// <summary>Requests that are a route's, where its rules stand among all others: for servers that apply no overrides. Empty where routes override.</summary>
    public FoldedRoutes Routes { get; init; } = FoldedRoutes.None;

    /// <summary>Refuses everything but probes.</summary>
    public RbacPair OnlyProbes() => new(
        Write(RBAC.Types.Action.Deny, new() { [Strict] = new RbacPolicy { Permissions = { ButProbes(PermissionTranslator.Anything) }, Principals = { PrincipalTranslator.Anybody } } }), null);

    public RbacPair Deny(IEnumerable<RuleInForce> rules)
    {
        RuleInForce[] deny = [.. rules.Concat(Routes.Rules).Where(r => !r.IsAllow)];
        var enforced = Policies(deny.Where(r => !r.Audit));
        var counted = audience.Audits ? Policies(deny.Where(r => r.Audit)) : [];
        return new RbacPair(enforced.Count == 0 ? null : Write(RBAC.Types.Action.Deny, enforced), counted.Count == 0 ? null : Write(RBAC.Types.Action.Deny, counted));
    }

    /// <param name="within">Besides, only whom the access mode lets in: for requests of which it is in doubt whether they are a route's.</param>
    public RbacPair Allow(IEnumerable<RuleInForce> rules, bool within = false)
    {
        RuleInForce[] allow = [.. rules.Where(r => r.IsAllow)];
        var audit = place.Access == AccessMode.Audit;
        RuleInForce[] enforced = audit ? [] : Array.FindAll(allow, r => !r.Audit);
        RuleInForce[] ofRoutes = audit ? [] : [.. Routes.Rules.Where(r => r is { IsAllow: true, Audit: false })];
        RuleInForce[] counted = audit ? allow : Array.FindAll(allow, r => r.Audit);
        var word = $"default/{AccessModes.WordOf(place.Access)}";
        var standard = principals.Of(place.Access, audience);
        RBAC? written = enforced.Length > 0 ? Write(RBAC.Types.Action.Allow, Whole(Policies([.. enforced, .. ofRoutes], within ? standard : null)))
            : ofRoutes.Length > 0 ? Write(RBAC.Types.Action.Allow, Whole(Beside(ofRoutes, word, standard)))
            : standard is not null ? Write(RBAC.Types.Action.Allow, Whole(new() { [word] = Of(standard) }))
            : null;
        RBAC? shadow = !audience.Audits ? null
            : counted.Length > 0 ? Write(RBAC.Types.Action.Allow, Whole(Policies(allow)))
            : audit ? Write(RBAC.Types.Action.Allow, Whole(new() { [word] = Of(PrincipalTranslator.Nobody) }))
            : null;
        return new RbacPair(written, shadow);
    }

    /// <summary>Requests of routes with Allow rules get in by these; all others as the access mode says.</summary>
    private SortedDictionary<string, RbacPolicy> Beside(RuleInForce[] ofRoutes, string word, Principal? standard)
    {
        var policies = Policies(ofRoutes);
        policies.Add(word, new RbacPolicy
        {
            Permissions = { new Permission { NotRule = Routes.WhereAny(ofRoutes) } },
            Principals = { standard ?? PrincipalTranslator.Anybody },
        });
        return policies;
    }

    private static RbacPolicy Of(Principal principal) => new() { Permissions = { PermissionTranslator.Anything }, Principals = { principal } };

    private SortedDictionary<string, RbacPolicy> Policies(IEnumerable<RuleInForce> rules, Principal? within = null)
    {
        var policies = new SortedDictionary<string, RbacPolicy>(StringComparer.Ordinal);
        foreach (var rule in rules)
        {
            if (Translate(rule, within) is { } policy)
            {
                policies[rule.Name] = policy;
            }
        }

        return policies;
    }

    /// <summary>An Allow filter: probes come in, and it has a policy even where no rule can be asked.</summary>
    private SortedDictionary<string, RbacPolicy> Whole(SortedDictionary<string, RbacPolicy> policies)
    {
        if (policies.Count == 0)
        {
            policies.Add(Closed, Of(PrincipalTranslator.Nobody));
        }

        if (_probes is not null)
        {
            policies.Add(ProbesName, new RbacPolicy { Permissions = { _probes.Clone() }, Principals = { PrincipalTranslator.Anybody } });
        }

        return policies;
    }

    /// <summary>Null when no request there can match it.</summary>
    private RbacPolicy? Translate(RuleInForce rule, Principal? within)
    {
        var isAllow = rule.IsAllow;
        Principal[] from = rule.Rule.From.IsEmpty ? [PrincipalTranslator.Anybody]
            : [.. rule.Rule.From.Select(f => principals.Of(f, isAllow, place.Issuers, audience)).OfType<Principal>()];
        Permission[] to = rule.Rule.To.IsEmpty ? [PermissionTranslator.Anything]
            : [.. rule.Rule.To.Select(t => PermissionTranslator.Of(t, isAllow, place.Port, audience)).OfType<Permission>()];
        if (from.Length == 0 || to.Length == 0)
        {
            return null;
        }

        if (Routes.Where(rule) is { } when)
        {
            to = [.. to.Select(t => PermissionTranslator.And([when.Clone(), t]))];
        }

        var policy = new RbacPolicy();
        policy.Principals.AddRange(within is null ? from : [PrincipalTranslator.And([within.Clone(), PrincipalTranslator.Or(from)])]);
        policy.Permissions.AddRange(isAllow ? to : to.Select(ButProbes));
        return policy;
    }

    private Permission ButProbes(Permission permission) =>
        _probes is null ? permission : PermissionTranslator.And([new Permission { NotRule = _probes.Clone() }, permission]);

    private static RBAC Write(RBAC.Types.Action action, SortedDictionary<string, RbacPolicy> policies)
    {
        var rbac = new RBAC { Action = action };
        foreach (var (name, policy) in policies)
        {
            rbac.Policies.Add(name, policy);
        }

        return rbac;
    }
}
