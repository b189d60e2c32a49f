using Mesh.Config;

namespace Mesh.Policy;

/// <summary>The rules of one filter, compiled, with an index of what they ask of the caller's name or the path. Immutable and thread-safe.</summary>
internal sealed class RbacRuleSet
{
    private readonly RbacRule[] _rules;
    private readonly RbacIndex _index;

    public RbacRuleSet(RbacRules given)
    {
        Denies = given.Action == RbacAction.Deny;
        RbacPolicy[] sorted = [.. given.Policies.OrderBy(p => p.Name, StringComparer.Ordinal)];
        _rules = [.. sorted.Select(p => new RbacRule(p, Denies))];
        _index = new RbacIndex(sorted);
        NeedsHead = _rules.Any(r => r.NeedsHead);
    }

    public bool Denies { get; }

    public bool NeedsHead { get; }

    /// <summary>The first rule that matches, by name; null when none does.</summary>
    public string? Match(in RbacRequest request)
    {
        var found = _index.First(_rules, request);
        return found < _rules.Length ? _rules[found].Name : null;
    }

    /// <summary>The rules of which most holds, best first. Two passes: words are made for those alone that are told.</summary>
    public IReadOnlyList<NearRule> Nearest(in RbacRequest request, int most)
    {
        var scored = new List<(double Score, int Rule)>(_rules.Length);
        for (var i = 0; i < _rules.Length; i++)
        {
            scored.Add((_rules[i].Score(request), i));
        }

        // Of equally near ones the first by name.
        scored.Sort((a, b) => a.Score != b.Score ? b.Score.CompareTo(a.Score) : a.Rule.CompareTo(b.Rule));
        var near = new List<NearRule>(Math.Min(most, scored.Count));
        foreach (var (score, rule) in scored.Take(most))
        {
            near.Add(new NearRule(_rules[rule].Name, _rules[rule].FirstFailed(request), score));
        }

        return near;
    }
}
