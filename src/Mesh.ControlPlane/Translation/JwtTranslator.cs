using Google.Protobuf.WellKnownTypes;
using Mesh.ControlPlane.Model.Policies;
using Mesh.Policy;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Hcm;
using Mesh.Protos.Envoy.JwtAuthn;
using Mesh.Protos.Envoy.Route;

namespace Mesh.ControlPlane.Translation;

/// <summary>Writes whose tokens are believed. A request without a token passes on, one with a token that nobody vouches for does not.</summary>
internal static class JwtTranslator
{
    private static readonly TimeSpan FetchTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan CacheDuration = TimeSpan.FromMinutes(5);

    /// <returns>Null when nobody's tokens are.</returns>
    public static HttpFilter? Filter(IReadOnlyList<IssuerInForce> issuers)
    {
        if (issuers.Count == 0)
        {
            return null;
        }

        var config = new JwtAuthentication();
        var any = new JwtRequirementOrList();
        foreach (var issuer in issuers)
        {
            config.Providers.Add(issuer.Key, Provider(issuer));
            any.Requirements.Add(new JwtRequirement { ProviderName = issuer.Key });
        }

        any.Requirements.Add(new JwtRequirement { AllowMissing = new Empty() });
        config.Rules.Add(new RequirementRule { Match = new RouteMatch { Prefix = "/" }, Requires = new JwtRequirement { RequiresAny = any } });
        return new HttpFilter { Name = VerifiedClaims.Filter, TypedConfig = Any.Pack(config) };
    }

    private static JwtProvider Provider(IssuerInForce issuer)
    {
        var jwt = issuer.Issuer;
        var provider = new JwtProvider { Issuer = jwt.Issuer, Forward = jwt.Forward, PayloadInMetadata = issuer.Key };
        provider.Audiences.AddRange(jwt.Audiences);
        provider.FromHeaders.AddRange(jwt.FromHeaders.Select(h => new JwtHeader { Name = h.Name, ValuePrefix = h.Prefix }));
        provider.ClaimToHeaders.AddRange(jwt.ClaimHeaders.Select(c => new JwtClaimToHeader { ClaimName = c.Claim, HeaderName = c.Header }));
        if (jwt.JwksUri.Length > 0)
        {
            provider.RemoteJwks = new RemoteJwks
            {
                HttpUri = new HttpUri { Uri = jwt.JwksUri, Timeout = Duration.FromTimeSpan(FetchTimeout) },
                CacheDuration = Duration.FromTimeSpan(CacheDuration),
            };
        }
        else
        {
            provider.LocalJwks = new DataSource { InlineString = jwt.Jwks };
        }

        return provider;
    }
}
