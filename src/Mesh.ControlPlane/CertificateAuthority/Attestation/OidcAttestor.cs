using System.Buffers.Text;
using System.Text.Json;
using Mesh.Spiffe;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Mesh.ControlPlane.CertificateAuthority.Attestation;

/// <summary>JWTs of one OIDC issuer, meant for us. Only asymmetric signatures are taken.</summary>
/// <param name="template">Which claims make the identity; null: the subject is a Kubernetes service account.</param>
internal sealed class OidcAttestor(string issuer, string audience, IdentityTemplate? template, JwksStore keys, TrustDomain trustDomain, TimeProvider time) : IAttestor
{
    private static readonly string[] Algorithms =
    [
        SecurityAlgorithms.RsaSha256, SecurityAlgorithms.RsaSha384, SecurityAlgorithms.RsaSha512,
        SecurityAlgorithms.RsaSsaPssSha256, SecurityAlgorithms.RsaSsaPssSha384, SecurityAlgorithms.RsaSsaPssSha512,
        SecurityAlgorithms.EcdsaSha256, SecurityAlgorithms.EcdsaSha384,
    ];

    private static readonly TimeSpan ClockSkew = TimeSpan.FromSeconds(30);
    private readonly JsonWebTokenHandler _handler = new() { MapInboundClaims = false };

    /// <inheritdoc/>
    public async ValueTask<Attested> AttestAsync(string token, CancellationToken cancellationToken)
    {
        if (Read(token) is not { } jwt)
        {
            return Attested.NotMine("It is no JWT.");
        }

        if (jwt.Issuer != issuer)
        {
            return Attested.NotMine($"It is a JWT of '{KubernetesUser.Shown(jwt.Issuer)}', not of '{issuer}'.");
        }

        if (!Algorithms.Contains(jwt.Alg))
        {
            return Attested.Refused($"The JWT is signed with '{KubernetesUser.Shown(jwt.Alg)}'. Taken are {string.Join(", ", Algorithms)}.");
        }

        var kid = jwt.Kid is { Length: > 0 } named ? named : null;
        if (await keys.FindAsync(kid, cancellationToken) is not { } known)
        {
            return Attested.Unavailable($"The keys of '{issuer}' could not be fetched, so its tokens can't be verified. Try again later; the control plane's log says why.");
        }

        var result = await _handler.ValidateTokenAsync(token, new TokenValidationParameters
        {
            ValidIssuer = issuer,
            ValidAudience = audience,
            ValidAlgorithms = Algorithms,
            IssuerSigningKeys = kid is null ? known : known.Where(k => k.KeyId == kid),
            RequireExpirationTime = true,
            RequireSignedTokens = true,
            LifetimeValidator = (from, to, _, _) => Lifetime(from, to),
        });
        return result.IsValid ? Identify(jwt) : Attested.Refused(Reason(result.Exception, kid));
    }

    private static JsonWebToken? Read(string token)
    {
        try
        {
            return token.Count(c => c == '.') == 2 ? new JsonWebToken(token) : null;
        }
        catch (Exception e) when (e is ArgumentException or SecurityTokenException or FormatException or JsonException)
        {
            return null;
        }
    }

    private bool Lifetime(DateTime? from, DateTime? to)
    {
        var now = time.GetUtcNow().UtcDateTime;
        if (to is not { } end || now >= end + ClockSkew)
        {
            throw new SecurityTokenExpiredException();
        }

        return from is not { } start || now >= start - ClockSkew ? true : throw new SecurityTokenNotYetValidException();
    }

    private Attested Identify(JsonWebToken jwt)
    {
        if (template is null)
        {
            return KubernetesUser.Read(jwt.Subject, trustDomain) is { } account
                ? Attested.Good(account, $"JWT of {issuer}")
                : Attested.Refused($"The JWT's subject '{KubernetesUser.Shown(jwt.Subject)}' is no service account ('system:serviceaccount:<namespace>:<name>'). Set --oidc-identity to say which claims make the identity.");
        }

        using var claims = JsonDocument.Parse(Base64Url.DecodeFromChars(jwt.EncodedPayload));
        return template.Fill(claims.RootElement, trustDomain, out var problem) is { } id ? Attested.Good(id, $"JWT of {issuer}") : Attested.Refused(problem!);
    }

    /// <summary>Our own words: the library's messages may quote the token.</summary>
    private string Reason(Exception? e, string? kid) => e switch
    {
        SecurityTokenExpiredException => "The JWT has expired. Get a fresh one.",
        SecurityTokenNotYetValidException => "The JWT is not valid yet. Compare the clocks.",
        SecurityTokenNoExpirationException => "The JWT never expires; such are not taken.",
        SecurityTokenInvalidAudienceException => $"The JWT is not meant for '{audience}' (its audience is another). Ask the issuer for one with that audience.",
        SecurityTokenSignatureKeyNotFoundException => $"The JWT names the key '{KubernetesUser.Shown(kid)}', which '{issuer}' does not publish.",
        SecurityTokenInvalidSignatureException => $"The JWT's signature was not made by '{issuer}'.",
        SecurityTokenInvalidAlgorithmException => "The JWT is signed with an algorithm that its key is not for.",
        _ => $"The JWT could not be verified ({e?.GetType().Name ?? "no reason"}).",
    };
}
