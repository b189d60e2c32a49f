using Org.BouncyCastle.X509;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>How far a change of the root has come.</summary>
internal enum RotationPhase
{
    /// <summary>One root, and it signs.</summary>
    Stable,

    /// <summary>The next root is given to everyone; the old one signs.</summary>
    Distributing,

    /// <summary>The new root signs; the old one is still trusted.</summary>
    Issuing,

    /// <summary>The old root is taken from everyone.</summary>
    Retiring,
}

/// <summary>Who signs, and who is trusted. Immutable.</summary>
/// <param name="Since">When this phase began.</param>
/// <param name="Next">Is to sign once everyone trusts it; only while distributing.</param>
/// <param name="Previous">Sign no more and are still trusted: their keys are gone.</param>
internal sealed record TrustState(RotationPhase Phase, DateTimeOffset Since, SigningAuthority Signing, SigningAuthority? Next, IReadOnlyList<X509Certificate> Previous)
{
    /// <summary>All that are trusted, the one that signs first.</summary>
    public IReadOnlyList<X509Certificate> Roots => [Signing.Root, .. Next is null ? [] : new[] { Next.Root }, .. Previous];

    public static TrustState Stable(SigningAuthority signing, DateTimeOffset now) => new(RotationPhase.Stable, now, signing, null, []);

    /// <summary>Makes what an operator wants the authority: another issuer of the same root at once, another root by a rotation. Where one has gone too far for a third root, the caller asks again later.</summary>
    public TrustState Adopt(SigningAuthority wanted, DateTimeOffset now)
    {
        if (wanted.RootId == Signing.RootId)
        {
            return Phase == RotationPhase.Distributing
                ? this with { Phase = RotationPhase.Stable, Since = now, Signing = wanted, Next = null }
                : this with { Signing = wanted };
        }

        if (wanted.RootId == Next?.RootId)
        {
            return this with { Next = wanted };
        }

        // While distributing, the one that was to be next has signed nothing yet.
        return Phase == RotationPhase.Issuing ? this : this with { Phase = RotationPhase.Distributing, Since = now, Next = wanted };
    }

    /// <summary>The next phase.</summary>
    public TrustState Advance(DateTimeOffset now) => Phase switch
    {
        RotationPhase.Distributing => new(RotationPhase.Issuing, now, Next!, null, [.. Previous, Signing.Root]),
        RotationPhase.Issuing => this with { Phase = RotationPhase.Retiring, Since = now, Previous = [] },
        RotationPhase.Retiring => this with { Phase = RotationPhase.Stable, Since = now },
        _ => this,
    };
}
