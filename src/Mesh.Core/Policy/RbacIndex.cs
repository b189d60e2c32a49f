using Mesh.Config;

namespace Mesh.Policy;

/// <summary>Finds the first matching one of many rules without asking all of them. Immutable and thread-safe.</summary>
/// <remarks>
/// Each rule is filed under the names of callers, or the paths, that it cannot match without (exact or as a prefix), whichever are shared with fewer other rules; a rule
/// that has neither is asked always. Texts are filed ignoring case, which finds too much and never too little: whether a rule matches is asked of the rule.
/// </remarks>
internal sealed class RbacIndex
{
    private readonly RbacTextIndex _names;
    private readonly RbacTextIndex _paths;
    private readonly int[] _others;

    /// <param name="policies">In the order of the rules.</param>
    public RbacIndex(IReadOnlyList<RbacPolicy> policies)
    {
        (IReadOnlyList<RbacText>? Names, IReadOnlyList<RbacText>? Paths)[] needs =
            [.. policies.Select(p => (RbacNeeds.Names(p), RbacNeeds.Paths(p)))];
        var (ofNames, ofPaths) = (Crowds(needs.Select(n => n.Names)), Crowds(needs.Select(n => n.Paths)));
        var (names, paths, others) = (new RbacTextIndex.Builder(), new RbacTextIndex.Builder(), new List<int>());
        for (var i = 0; i < needs.Length; i++)
        {
            var (byName, byPath) = needs[i];
            if (byName is null && byPath is null)
            {
                others.Add(i);
            }
            else if (byPath is null || (byName is not null && Crowd(byName, ofNames) <= Crowd(byPath, ofPaths)))
            {
                names.Add(byName!, i);
            }
            else
            {
                paths.Add(byPath, i);
            }
        }

        (_names, _paths, _others) = (names.Build(), paths.Build(), [.. others]);
    }

    /// <summary>The lowest index of a rule that matches; the number of rules when none does.</summary>
    public int First(RbacRule[] rules, in RbacRequest request)
    {
        var best = First(_others, rules, request, rules.Length);
        if (!_names.IsEmpty && request.Connection.Caller is { } caller)
        {
            for (var i = 0; i < caller.Names.Count; i++)
            {
                best = _names.First(caller.Names[i], rules, request, best);
            }
        }

        return _paths.IsEmpty || request.Head is not { } head ? best : _paths.First(head.Path, rules, request, best);
    }

    /// <param name="best">Only lower ones count.</param>
    public static int First(int[] candidates, RbacRule[] rules, in RbacRequest request, int best)
    {
        foreach (var candidate in candidates)
        {
            if (candidate >= best)
            {
                return best;
            }

            if (rules[candidate].Matches(request))
            {
                return candidate;
            }
        }

        return best;
    }

    private static Dictionary<RbacText, int> Crowds(IEnumerable<IReadOnlyList<RbacText>?> needs)
    {
        var crowds = new Dictionary<RbacText, int>();
        foreach (var text in needs.SelectMany(n => n ?? []))
        {
            crowds[text] = crowds.GetValueOrDefault(text) + 1;
        }

        return crowds;
    }

    private static int Crowd(IReadOnlyList<RbacText> texts, Dictionary<RbacText, int> crowds) => texts.Count == 0 ? 0 : texts.Max(t => crowds[t]);
}
