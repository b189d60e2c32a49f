using System.Collections.Immutable;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;

namespace Mesh.ControlPlane.Sources.Manifests.Policies;

/// <summary>Keeps a workload from more authorization rules than it can ask for every request. The newest policies go, and what they target is closed.</summary>
internal sealed class AuthorizationCount(MeshModel model, ImmutableArray<SourceProblem>.Builder problems)
{
    public const int MostRules = 2_048;
    public const int MostConditions = 16_384;

    /// <param name="policies">Oldest first; those that are one too many are replaced.</param>
    public void RefuseTooMany(List<TrafficPolicy> policies)
    {
        // Fewer in a whole namespace can't be too many at one of its workloads: no need to look at each.
        foreach (var ns in policies.Where(p => p.Kind == AuthorizationSettings.Kind).Select(p => p.Name.Namespace).Distinct().Order(StringComparer.Ordinal).ToArray())
        {
            while (TooMany(policies.Where(p => p.Name.Namespace == ns && p.Attachments.Any(a => a.IsAccepted)).SelectMany(RulesOf)) && Crowded(policies, ns) is { } crowd)
            {
                var last = policies.FindLastIndex(p => p.Kind == AuthorizationSettings.Kind && p.Attachments.Any(a => a.IsAccepted) && crowd.Policies.Contains(p.Name));
                policies[last] = Refuse(policies[last], crowd);
            }
        }
    }

    /// <summary>The first endpoint of the namespace that has too many.</summary>
    private Crowd? Crowded(List<TrafficPolicy> policies, string ns)
    {
        var index = new AuthorizationIndex(model with { Policies = [.. policies] }, ServerDefaults.Default);
        foreach (var endpoint in model.Services.Values.Where(s => s.Name.Namespace == ns).SelectMany(s => s.Endpoints).DistinctBy(e => e.HostPort).OrderBy(e => e.HostPort, StringComparer.Ordinal))
        {
            RuleInForce[] rules = [.. index.At(ns, endpoint.ServiceAccount, [endpoint.Address], endpoint.Port).All.Where(r => r.Kind == AuthorizationSettings.Kind && !r.Rule.Name.StartsWith(AuthorizationIndex.ClosedBy, StringComparison.Ordinal))];
            if (TooMany(rules.Select(r => r.Rule)))
            {
                return new Crowd(endpoint.HostPort, rules.Length, rules.Sum(r => r.Rule.Conditions), [.. rules.Select(r => r.Policy)]);
            }
        }

        return null;
    }

    private TrafficPolicy Refuse(TrafficPolicy policy, Crowd crowd)
    {
        var message = $"The workload at {crowd.Address} would have {crowd.Rules} rules with {crowd.Conditions} conditions, of {crowd.Policies.Count} policies. It can have {MostRules} rules and {MostConditions} conditions. "
            + "This policy is the newest of them: join rules, or narrow what policies target. What it targets is closed but for probes until then.";
        return policy with { Attachments = [.. policy.Attachments.Select(a => a.IsAccepted ? Refused(a) : a)] };

        PolicyAttachment Refused(PolicyAttachment attachment)
        {
            problems.Add(new SourceProblem(policy.Where, $"{policy}: is not held at {attachment.Target} ({PolicyReason.Invalid}): {message}"));
            return attachment with { Reason = PolicyReason.Invalid, Message = message, Closes = true };
        }
    }

    private static IEnumerable<AuthorizationRule> RulesOf(TrafficPolicy policy) =>
        policy.Values.Where(v => v.Setting == AuthorizationSettings.Rules).SelectMany(v => ((AuthorizationRules)v.Value).Rules);

    private static bool TooMany(IEnumerable<AuthorizationRule> rules)
    {
        var (count, conditions) = (0, 0);
        foreach (var rule in rules)
        {
            count++;
            conditions += rule.Conditions;
        }

        return count > MostRules || conditions > MostConditions;
    }

    private sealed record Crowd(string Address, int Rules, int Conditions, HashSet<ServiceName> Policies);
}
