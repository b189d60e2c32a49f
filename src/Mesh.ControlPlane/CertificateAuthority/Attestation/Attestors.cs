namespace Mesh.ControlPlane.CertificateAuthority.Attestation;

/// <summary>All ways to show who a workload is, asked in their order: the first that knows the token decides.</summary>
internal sealed class Attestors(IReadOnlyList<IAttestor> attestors)
{
    private const int MaxLength = 16 * 1024;

    public async ValueTask<Attested> AttestAsync(string token, CancellationToken cancellationToken)
    {
        if (token.Length is 0 or > MaxLength || token.AsSpan().ContainsAnyExceptInRange('!', '~'))
        {
            return Attested.Refused($"The token has {token.Length} characters, or some that no token has. Send 1–{MaxLength} of printable ASCII.");
        }

        var reasons = new List<string>();
        foreach (var attestor in attestors)
        {
            var answer = await attestor.AttestAsync(token, cancellationToken);
            if (answer.Kind != AttestedKind.NotMine)
            {
                return answer with { By = attestor };
            }

            reasons.Add(answer.Detail);
        }

        return Attested.Refused(string.Join(' ', reasons));
    }
}
