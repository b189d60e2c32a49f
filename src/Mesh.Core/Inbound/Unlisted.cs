using Mesh.Config;

namespace Mesh.Inbound;

/// <summary>Who is let in at an address that the control plane knows nothing of, by the operator's word. Immutable.</summary>
/// <param name="Word">For logs: the option's value.</param>
/// <param name="Effect">For logs: what it means.</param>
internal sealed record Unlisted(string Word, string Effect, RbacFilter Filter)
{
    /// <summary>Everybody.</summary>
    public static Unlisted Allow { get; } = new("allow", "mesh TLS and plaintext are both accepted there", RbacFilter.None);

    /// <summary>Callers over mesh TLS.</summary>
    public static Unlisted AllowAuthenticated { get; } = new(
        "allow-authenticated",
        "only callers over mesh TLS are let in there",
        Only(new RbacPolicy("unlisted/allow-authenticated", [new RbacCondition.Always()], [new RbacCondition.Authenticated(null)])));

    /// <summary>Nobody, but probes.</summary>
    public static Unlisted Deny { get; } = new("deny", "only probe paths are answered there", Only());

    private static RbacFilter Only(params RbacPolicy[] policies) => new(new RbacRules(RbacAction.Allow, policies), null);
}
