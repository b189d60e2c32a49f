using Mesh.Spiffe;

namespace Mesh.ControlPlane.CertificateAuthority.Attestation;

/// <summary>Which attestors the options ask for, in the order in which they are asked: what costs nothing first.</summary>
internal static class AttestorFactory
{
    private const string InCluster = "in-cluster";
    private const string AccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";
    private static readonly Uri ClusterAddress = new("https://kubernetes.default.svc");

    /// <param name="tokens">Null: there are no join tokens.</param>
    /// <param name="cluster">The API server of the cluster that we run in; null: there is none. It reviews unless the options name another.</param>
    public static Attestors Create(MeshControlPlaneOptions options, JoinTokens? tokens, TimeProvider time, ILoggerFactory loggers, ITokenReviews? cluster = null)
    {
        var trustDomain = TrustDomain.Parse(options.TrustDomain);
        List<IAttestor> attestors = tokens is null ? [] : [new JoinTokenAttestor(tokens)];
        if (options.OidcIssuer is { } issuer)
        {
            var template = options.OidcIdentity is { } text && IdentityTemplate.TryParse(text, out var parsed, out _) ? parsed : null;
            attestors.Add(new OidcAttestor(
                issuer, options.OidcAudience!, template, new JwksStore(issuer, options.OidcJwks, PrivateHttp.Create(null), time, loggers.CreateLogger<JwksStore>()), trustDomain, time));
        }

        if (options.TokenReview is { } server)
        {
            var here = server == InCluster;
            var reviews = new HttpTokenReviews(
                here ? ClusterAddress : new Uri(server), options.TokenReviewToken ?? (here ? $"{AccountFolder}/token" : null), PrivateHttp.Create(options.TokenReviewCa ?? (here ? $"{AccountFolder}/ca.crt" : null)));
            attestors.Add(new TokenReviewAttestor(reviews, options.TokenReviewAudience, ofPods: false, trustDomain, loggers.CreateLogger<TokenReviewAttestor>()));
        }
        else if (cluster is not null)
        {
            attestors.Add(new TokenReviewAttestor(cluster, options.TokenReviewAudience, ofPods: true, trustDomain, loggers.CreateLogger<TokenReviewAttestor>()));
        }

        return new Attestors(attestors);
    }

    /// <summary>Every problem of the options that say who attests.</summary>
    public static IEnumerable<string> Problems(MeshControlPlaneOptions options)
    {
        if ((options.OidcIssuer is null) != (options.OidcAudience is null))
        {
            yield return "--oidc-issuer and --oidc-audience go together: without an audience a token that was meant for anybody else would be taken.";
        }

        if (options.OidcIssuer is { } issuer && !JwksStore.MayBeAsked(issuer))
        {
            yield return $"--oidc-issuer '{issuer}' is no https URL (plain http only to this machine).";
        }

        if (options.OidcIssuer is null && (options.OidcJwks ?? options.OidcIdentity) is not null)
        {
            yield return "--oidc-jwks and --oidc-identity say more about --oidc-issuer: give that as well.";
        }

        if (options.OidcJwks is { } keys && !(JwksStore.IsUrl(keys) ? JwksStore.MayBeAsked(keys) : File.Exists(keys)))
        {
            yield return $"--oidc-jwks '{keys}' is neither an https URL (plain http only to this machine) nor a file.";
        }

        if (options.OidcIdentity is { } text && !IdentityTemplate.TryParse(text, out _, out var problem))
        {
            yield return $"--oidc-identity: {problem}";
        }

        if (options.TokenReview is { } server && server != InCluster && !JwksStore.MayBeAsked(server))
        {
            yield return $"--token-review '{server}' is neither '{InCluster}' nor an https URL (plain http only to this machine).";
        }

        if (options.TokenReview is null && (options.TokenReviewCa ?? options.TokenReviewToken) is not null)
        {
            yield return "--token-review-ca and --token-review-token say more about --token-review: give that as well.";
        }

        foreach (var (flag, file) in new[] { ("--token-review-ca", options.TokenReviewCa), ("--token-review-token", options.TokenReviewToken) })
        {
            if (file is not null && !File.Exists(file))
            {
                yield return $"{flag} '{file}' is no file.";
            }
        }

        if (options.TokenReviewAudience.Length == 0)
        {
            yield return "--token-review-audience is empty. Leave it out for 'meshlib.io'.";
        }
    }
}
