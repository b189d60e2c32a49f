using Mesh.Spiffe;

namespace Mesh.ControlPlane.CertificateAuthority.Attestation;

/// <summary>One way to show who a workload is.</summary>
internal interface IAttestor
{
    /// <summary>What a token is to it. The token never stands in the answer.</summary>
    ValueTask<Attested> AttestAsync(string token, CancellationToken cancellationToken);

    /// <summary>Called when a certificate is about to be signed for the token.</summary>
    /// <returns>Why it can't be used after all; null when it may.</returns>
    /// <exception cref="IOException">That it was used can't be noted.</exception>
    string? Use(string token) => null;
}

internal enum AttestedKind
{
    /// <summary>The token shows who the bearer is.</summary>
    Good,

    /// <summary>Another attestor may know it.</summary>
    NotMine,

    /// <summary>It is of the kind looked at here, and not to be taken.</summary>
    Refused,

    /// <summary>Nobody can tell now; asking again later may help.</summary>
    Unavailable,
}

/// <summary>What an attestor says of a token.</summary>
/// <param name="Id">Who the bearer is; only when good.</param>
/// <param name="Detail">How it was shown, or why not; for people.</param>
internal sealed record Attested(AttestedKind Kind, SpiffeId? Id, string Detail)
{
    /// <summary>Who looked at it; set by <see cref="Attestors"/>.</summary>
    public IAttestor? By { get; init; }

    public static Attested Good(SpiffeId id, string how) => new(AttestedKind.Good, id, how);

    public static Attested NotMine(string why) => new(AttestedKind.NotMine, null, why);

    public static Attested Refused(string why) => new(AttestedKind.Refused, null, why);

    public static Attested Unavailable(string why) => new(AttestedKind.Unavailable, null, why);
}
