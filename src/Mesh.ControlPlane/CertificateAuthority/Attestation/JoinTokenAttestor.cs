namespace Mesh.ControlPlane.CertificateAuthority.Attestation;

/// <summary>Tokens that we made, each good once.</summary>
internal sealed class JoinTokenAttestor(JoinTokens tokens) : IAttestor
{
    /// <inheritdoc/>
    public ValueTask<Attested> AttestAsync(string token, CancellationToken cancellationToken) => ValueTask.FromResult(
        tokens.Find(token, out var problem) is { } id ? Attested.Good(id, "join token")
        : tokens.Knows(token) ? Attested.Refused(problem!)
        : Attested.NotMine(problem!));

    /// <inheritdoc/>
    public string? Use(string token)
    {
        tokens.Redeem(token, out var problem);
        return problem;
    }
}
