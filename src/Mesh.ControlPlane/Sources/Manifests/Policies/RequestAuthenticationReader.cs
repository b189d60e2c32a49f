using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using Mesh.ControlPlane.Model.Policies;
using Mesh.Jwt;
using Mesh.Xds.Decoding;

namespace Mesh.ControlPlane.Sources.Manifests.Policies;

/// <summary>Reads RequestAuthentication: whose tokens are believed.</summary>
internal static class RequestAuthenticationReader
{
    private const int MaxIssuers = 16;
    private const int MaxText = 512;
    private const int MaxJwks = 65_536;

    public static readonly PolicyKind Kind = new(AuthenticationSettings.Kind, PolicyKind.Workloads, Read) { IsAdditive = true, Closes = true };

    private static void Read(PolicyFields fields)
    {
        if (fields.Spec.Find("jwt") is null)
        {
            fields.Spec.Missing("jwt", "Add an entry with issuer and jwksUri or jwks.");
            return;
        }

        var issuers = ListFields.Maps(fields.Spec, "jwt", MaxIssuers).Select(ReadIssuer).OfType<JwtIssuer>().ToImmutableArray();
        fields.Add(fields.Spec, "jwt", AuthenticationSettings.Jwt, issuers);
    }

    private static JwtIssuer? ReadIssuer(YamlMap jwt)
    {
        var issuer = jwt.Text("issuer", required: true);
        if (issuer is not null && (issuer.Length is 0 or > MaxText || issuer.Any(char.IsControl)))
        {
            jwt.Bad("issuer", issuer, $"Use 1–{MaxText} characters, exactly as the claim iss has them.");
        }

        var audiences = ListFields.Texts(jwt, "audiences", a => a.Length is 0 or > MaxText ? $"Use 1–{MaxText} characters." : null);
        var (uri, jwks) = (jwt.Text("jwksUri"), jwt.Text("jwks"));
        if ((uri is null) == (jwks is null) && !jwt.Problems.Refused)
        {
            jwt.Problems.Refuse(jwt.Node, uri is null
                ? $"{jwt.Field("jwksUri")} is missing. Say where the issuer's keys are (jwksUri) or give them (jwks, as JSON text)."
                : $"{jwt.Field("jwksUri")} and jwks are both there. Keep one.");
        }

        if (uri is not null && UriProblem(uri) is { } wrong)
        {
            jwt.Bad("jwksUri", uri, wrong);
        }

        if (jwks is not null && JwksProblem(jwks) is { } bad)
        {
            jwt.Problems.Refuse(jwt.Find("jwks")!.Value, $"{jwt.Field("jwks")} {bad}");
        }

        var fromHeaders = ListFields.Maps(jwt, "fromHeaders").Select(ReadFromHeader).OfType<TokenHeader>().ToImmutableArray();
        var forward = jwt.Flag("forward") ?? false;
        var claims = ListFields.Maps(jwt, "claimHeaders").Select(ReadClaimHeader).OfType<ClaimHeader>().ToImmutableArray();
        if (claims.GroupBy(c => c.Header).FirstOrDefault(g => g.Count() > 1) is { } twice)
        {
            jwt.Problems.Refuse(jwt.Find("claimHeaders")!.Value, $"{jwt.Field("claimHeaders")} writes the header '{twice.Key}' twice. Give each claim its own.");
        }

        jwt.Close();
        return issuer is null ? null : new JwtIssuer(issuer, audiences, uri ?? string.Empty, jwks ?? string.Empty, fromHeaders, forward, claims, jwt.Where);
    }

    private static TokenHeader? ReadFromHeader(YamlMap header)
    {
        var name = header.Text("name", required: true)?.ToLowerInvariant();
        var prefix = header.Text("prefix") ?? string.Empty;
        header.Close();
        if (name is not null && ListFields.HeaderProblem(name) is { } problem)
        {
            header.Bad("name", name, problem);
        }

        if (prefix.Length > 64 || prefix.Any(char.IsControl))
        {
            header.Bad("prefix", prefix, "Use what stands before the token, such as \"Bearer \", at most 64 characters.");
        }

        return name is null ? null : new TokenHeader(name, prefix);
    }

    private static ClaimHeader? ReadClaimHeader(YamlMap map)
    {
        var claim = map.Text("claim", required: true);
        var header = map.Text("header", required: true)?.ToLowerInvariant();
        map.Close();
        if (claim is { Length: 0 or > MaxText })
        {
            map.Bad("claim", claim, $"Use 1–{MaxText} characters.");
        }

        if (header is not null && (ListFields.HeaderProblem(header) ?? (header is "authorization" or "content-length" or "content-type" or "cookie" ? "It has a meaning of its own: use one such as x-user." : null) ?? HeaderChangesDecoder.WhyNot(header)) is { } problem)
        {
            map.Bad("header", header, problem);
        }

        return claim is null || header is null ? null : new ClaimHeader(claim, header);
    }

    private static string? UriProblem(string text) =>
        text.Length > 2048 || !Uri.TryCreate(text, UriKind.Absolute, out var uri) || uri.Host.Length == 0 ? "Use an absolute URI such as https://login.example.com/keys."
        : uri.UserInfo.Length > 0 || uri.Fragment.Length > 0 ? "Remove the user and the fragment."
        : uri.Scheme == Uri.UriSchemeHttps || (uri.Scheme == Uri.UriSchemeHttp && uri.IsLoopback) ? null
        : "Use https: over anything else whoever is on the way chooses whom you believe.";

    /// <summary>RFC 7517, public keys of asymmetric algorithms only.</summary>
    private static string? JwksProblem(string text)
    {
        if (text.Length > MaxJwks)
        {
            return $"has {text.Length} characters. Use at most {MaxJwks}: keep the keys in use.";
        }

        try
        {
            using var json = JsonDocument.Parse(text, new JsonDocumentOptions { MaxDepth = 16 });
            if (json.RootElement.ValueKind != JsonValueKind.Object || !json.RootElement.TryGetProperty("keys", out var keys)
                || keys.ValueKind != JsonValueKind.Array || keys.GetArrayLength() == 0)
            {
                return "has no keys. Give a JSON object with a non-empty array 'keys' (RFC 7517).";
            }

            foreach (var key in keys.EnumerateArray())
            {
                var type = key.ValueKind == JsonValueKind.Object && key.TryGetProperty("kty", out var kty) && kty.ValueKind == JsonValueKind.String ? kty.GetString() : null;
                if (type is not ("RSA" or "EC"))
                {
                    return $"has a key of type '{type ?? "none"}'. Use public keys of type RSA or EC: whoever reads a shared secret could sign with it.";
                }

                if (key.TryGetProperty("d", out _))
                {
                    return "has a private key ('d'). Give the public part only, and replace that key: it has been written down.";
                }
            }

            // As the servers that get it will read it.
            return JsonWebKeySet.TryParse(Encoding.UTF8.GetBytes(text), out _, out var problem) ? null : $"{problem}. Give a JSON Web Key Set (RFC 7517 §5).";
        }
        catch (JsonException e)
        {
            return $"is no JSON: {e.Message} Correct it.";
        }
    }
}
