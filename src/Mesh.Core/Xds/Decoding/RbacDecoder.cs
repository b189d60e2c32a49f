using Mesh.Config;
using Wire = Mesh.Protos.Envoy.Rbac;

namespace Mesh.Xds.Decoding;

/// <summary>Role-based access control, as HTTP filter, per route and as network filter (gRFC A41).</summary>
internal static class RbacDecoder
{
    /// <summary>In one filter.</summary>
    public const int MaxPolicies = 10_000;

    /// <returns>Null when it is wrong.</returns>
    public static RbacFilter? Decode(Protos.Envoy.Filters.RBAC given, string path, DecodeErrors errors)
    {
        if (!given.Matcher.IsEmpty || !given.ShadowMatcher.IsEmpty)
        {
            // Without them the filter would restrict nothing.
            errors.Add(path, "has a matcher tree", "Write rules or shadow_rules.");
            return null;
        }

        return Decode(given.Rules, given.ShadowRules, isConnection: false, path, errors);
    }

    /// <returns>Null turns the filter off there.</returns>
    public static RbacFilter? Decode(Protos.Envoy.Filters.RBACPerRoute given, string path, DecodeErrors errors) =>
        given.Rbac is null ? null : Decode(given.Rbac, $"{path}.rbac", errors);

    /// <summary>Before any request is read: conditions on requests are refused.</summary>
    public static RbacFilter? Decode(Protos.Envoy.NetworkFilters.RBAC given, string path, DecodeErrors errors) =>
        Decode(given.Rules, given.ShadowRules, isConnection: true, path, errors);

    private static RbacFilter? Decode(Wire.RBAC? rules, Wire.RBAC? shadow, bool isConnection, string path, DecodeErrors errors)
    {
        var before = errors.Count;
        var conditions = new RbacConditionDecoder(isConnection, path, errors);
        var filter = new RbacFilter(Rules(rules, $"{path}.rules", conditions, errors), Rules(shadow, $"{path}.shadow_rules", conditions, errors));
        return errors.Count == before ? filter : null;
    }

    private static RbacRules? Rules(Wire.RBAC? given, string path, RbacConditionDecoder conditions, DecodeErrors errors)
    {
        if (given is null)
        {
            return null;
        }

        if (given.Action is not (Wire.RBAC.Types.Action.Allow or Wire.RBAC.Types.Action.Deny or Wire.RBAC.Types.Action.Log))
        {
            errors.Add($"{path}.action", $"is {(int)given.Action}", "Use ALLOW (0), DENY (1) or LOG (2).");
        }

        if (given.Policies.Count > MaxPolicies)
        {
            errors.Add($"{path}.policies", $"has {given.Policies.Count} entries", $"Use at most {MaxPolicies}.");
            return null;
        }

        var policies = new List<RbacPolicy>(given.Policies.Count);
        foreach (var (name, policy) in given.Policies.OrderBy(p => p.Key, StringComparer.Ordinal))
        {
            policies.Add(Policy(name, policy, $"{path}.policies[\"{name}\"]", conditions, errors));
        }

        var action = given.Action switch
        {
            Wire.RBAC.Types.Action.Deny => RbacAction.Deny,
            Wire.RBAC.Types.Action.Log => RbacAction.Log,
            _ => RbacAction.Allow,
        };
        return new RbacRules(action, policies);
    }

    private static RbacPolicy Policy(string name, Wire.Policy given, string path, RbacConditionDecoder conditions, DecodeErrors errors)
    {
        if (name.Length == 0)
        {
            errors.Add(path, "has no name", "Name the policy: decisions are told by it.");
        }

        foreach (var (field, condition) in new[] { ("condition", given.Condition), ("checked_condition", given.CheckedCondition) })
        {
            if (condition is not null)
            {
                errors.Add($"{path}.{field}", "is set", "Leave it out: conditions in Common Expression Language are not supported (gRFC A41).");
            }
        }

        if (given.Permissions.Count == 0)
        {
            errors.Add($"{path}.permissions", "is empty", "List at least one, such as any: true.");
        }

        if (given.Principals.Count == 0)
        {
            errors.Add($"{path}.principals", "is empty", "List at least one, such as any: true.");
        }

        var permissions = conditions.All(given.Permissions, conditions.Permission, $"{path}.permissions");
        return new RbacPolicy(name, permissions, conditions.All(given.Principals, conditions.Principal, $"{path}.principals"));
    }
}
