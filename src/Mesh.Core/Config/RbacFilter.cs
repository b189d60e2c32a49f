namespace Mesh.Config;

/// <summary>Who may do what, decided by one filter (gRFC A41).</summary>
/// <param name="Rules">Null restricts nothing.</param>
/// <param name="ShadowRules">Evaluated and counted, never enforced; null is none.</param>
internal sealed record RbacFilter(RbacRules? Rules, RbacRules? ShadowRules) : HttpFilterSettings
{
    /// <summary>Only stands where overrides of routes refer to it.</summary>
    public static RbacFilter None { get; } = new(null, null);

    /// <inheritdoc/>
    /// <remarks>Rules about the caller and the address alone leave it to the app what a request means; shadow rules change no answer.</remarks>
    public override bool Guards => Rules?.Policies.Any(p => p.Permissions.Concat(p.Principals).Any(c => c.LooksAtRequest)) ?? false;
}

/// <param name="Policies">Sorted by name (ordinal); the first that matches gives its name to the decision. <see cref="RbacAction.Allow"/> without any denies everything.</param>
internal sealed record RbacRules(RbacAction Action, IReadOnlyList<RbacPolicy> Policies);

/// <summary>What becomes of a request that one of the policies matches.</summary>
internal enum RbacAction
{
    /// <summary>It goes on; one that none matches is denied.</summary>
    Allow,

    /// <summary>It is denied; one that none matches goes on.</summary>
    Deny,

    /// <summary>It goes on, as one that none matches.</summary>
    Log,
}

/// <summary>Matches when one of the permissions and one of the principals do.</summary>
/// <param name="Name">Unique in its rules.</param>
/// <param name="Permissions">What is asked, at least one.</param>
/// <param name="Principals">Who asks, at least one.</param>
internal sealed record RbacPolicy(string Name, IReadOnlyList<RbacCondition> Permissions, IReadOnlyList<RbacCondition> Principals);
