using Mesh.Config;

namespace Mesh.Policy;

/// <summary>The rules that hold for a request, compiled: may it happen, which rule says so, and why not. Immutable and thread-safe; deciding allocates nothing.</summary>
/// <remarks>
/// gRFC A41 for any number of filters: every one of them must let the request pass, so their order changes no answer. What denies is asked first, so that a
/// denial names the rule that denies. What differs from gRFC A41 lies on the safe side and is in docs/authorization-engine.md.
/// </remarks>
internal sealed class RbacEngine
{
    private readonly RbacRuleSet[] _enforced;
    private readonly RbacRuleSet[] _shadow;

    /// <param name="filters">All that hold at one place.</param>
    public RbacEngine(IEnumerable<RbacFilter> filters)
    {
        RbacFilter[] all = [.. filters];
        _enforced = Compile(all.Select(f => f.Rules));
        _shadow = Compile(all.Select(f => f.ShadowRules));
        NeedsHead = _enforced.Any(s => s.NeedsHead) || _shadow.Any(s => s.NeedsHead);
    }

    /// <summary>Nothing is restricted and nothing counted.</summary>
    public bool IsNone => _enforced.Length == 0 && _shadow.Length == 0;

    /// <summary>There are shadow rules.</summary>
    public bool HasShadow => _shadow.Length > 0;

    /// <summary>The request must be looked at, not only its connection.</summary>
    public bool NeedsHead { get; }

    public PolicyDecision Decide(in RbacRequest request) => Decide(_enforced, request);

    /// <summary>What the shadow rules would decide, if they were in force instead.</summary>
    public PolicyDecision DecideShadow(in RbacRequest request) => Decide(_shadow, request);

    /// <summary>The same decision, with the rules that came nearest. Costs more: for denials and for people.</summary>
    /// <param name="most">Rules to name.</param>
    public PolicyExplanation Explain(in RbacRequest request, int most = 3) => Explain(_enforced, request, most);

    /// <inheritdoc cref="Explain(in RbacRequest, int)"/>
    public PolicyExplanation ExplainShadow(in RbacRequest request, int most = 3) => Explain(_shadow, request, most);

    private static PolicyDecision Decide(RbacRuleSet[] sets, in RbacRequest request)
    {
        var decision = PolicyDecision.Unrestricted;
        foreach (var set in sets)
        {
            var rule = set.Match(request);
            if (set.Denies)
            {
                if (rule is not null)
                {
                    return new PolicyDecision(false, PolicyStage.Deny, rule);
                }
            }
            else if (rule is null)
            {
                return new PolicyDecision(false, PolicyStage.Default, null);
            }
            else
            {
                decision = new PolicyDecision(true, PolicyStage.Allow, rule);
            }
        }

        return decision;
    }

    private static PolicyExplanation Explain(RbacRuleSet[] sets, in RbacRequest request, int most)
    {
        var decision = Decide(sets, request);
        if (decision.Stage != PolicyStage.Default)
        {
            return new PolicyExplanation(decision, []);
        }

        foreach (var set in sets)
        {
            if (!set.Denies && set.Match(request) is null)
            {
                return new PolicyExplanation(decision, set.Nearest(request, most));
            }
        }

        return new PolicyExplanation(decision, []);
    }

    /// <summary>Rules that only log decide nothing.</summary>
    private static RbacRuleSet[] Compile(IEnumerable<RbacRules?> rules) =>
        [.. rules.OfType<RbacRules>().Where(r => r.Action != RbacAction.Log).OrderBy(r => r.Action == RbacAction.Deny ? 0 : 1).Select(r => new RbacRuleSet(r))];
}
