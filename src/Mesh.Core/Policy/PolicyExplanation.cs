namespace Mesh.Policy;

/// <summary>A decision with what would have changed it.</summary>
/// <param name="Nearest">Where no rule allowed it: the rules that allow and came nearest, best first. Else empty.</param>
internal sealed record PolicyExplanation(PolicyDecision Decision, IReadOnlyList<NearRule> Nearest)
{
    /// <summary>In one line, with the nearest rule only.</summary>
    public string Summary => Nearest.Count == 0 ? Decision.ToString() : $"{Decision}; nearest is {Nearest[0]}";

    public override string ToString() => Nearest.Count == 0 ? Decision.ToString() : $"{Decision}; nearest are {string.Join("; ", Nearest)}";
}

/// <summary>A rule that did not match.</summary>
/// <param name="Rule">Its name.</param>
/// <param name="Failed">Its first condition that did not hold, with the value seen.</param>
/// <param name="Matched">How much of it did hold, 0–1.</param>
internal sealed record NearRule(string Rule, string Failed, double Matched)
{
    public override string ToString() => $"rule {Rule}: {Failed}";
}
