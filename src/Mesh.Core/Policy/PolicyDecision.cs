namespace Mesh.Policy;

/// <summary>May this happen, and what said so.</summary>
/// <param name="Rule">The name of the rule that decided; null where none did.</param>
internal readonly record struct PolicyDecision(bool IsAllowed, PolicyStage Stage, string? Rule)
{
    /// <summary>No rules are in force.</summary>
    public static PolicyDecision Unrestricted { get; } = new(true, PolicyStage.None, null);

    public override string ToString() => this switch
    {
        { Stage: PolicyStage.Deny } => $"denied by rule '{Rule}'",
        { Stage: PolicyStage.Allow } => $"allowed by rule '{Rule}'",
        { Stage: PolicyStage.Default } => "denied, because no rule allows it",
        _ => "allowed, because no rule denies it",
    };
}

/// <summary>What decided.</summary>
internal enum PolicyStage
{
    /// <summary>No rule denies it, and no rules say who is allowed.</summary>
    None,

    /// <summary>A rule that denies.</summary>
    Deny,

    /// <summary>A rule that allows.</summary>
    Allow,

    /// <summary>There are rules that allow, and none of them matches.</summary>
    Default,
}
