using System.Text;
using Google.Protobuf.Collections;
using Mesh.Config;
using Mesh.Jwt;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.JwtAuthn;
using Wire = Mesh.Protos.Envoy.JwtAuthn;

namespace Mesh.Xds.Decoding;

/// <summary>The filter <c>envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication</c>: whose tokens are believed, and which requests must bring one.</summary>
internal static class JwtDecoder
{
    /// <summary>Each may cost a request a look.</summary>
    public const int MaxProviders = 64;

    private const int MaxUriLength = 2048;
    private const uint MaxSkewSeconds = 3600;
    private static readonly TimeSpan _longestFetch = TimeSpan.FromSeconds(5);

    public static Config.JwtAuthentication Decode(Wire.JwtAuthentication given, string path, DecodeErrors errors)
    {
        if (given.Providers.Count > MaxProviders)
        {
            errors.Add($"{path}.providers", $"has {given.Providers.Count} entries", $"Use at most {MaxProviders}.");
        }

        var providers = new List<Config.JwtProvider>(given.Providers.Count);
        // The order of a map is nobody's promise: it must not decide anything.
        foreach (var (name, provider) in given.Providers.OrderBy(p => p.Key, StringComparer.Ordinal))
        {
            providers.Add(Provider(name, provider, $"{path}.providers[\"{name}\"]", errors));
        }

        var rules = new List<JwtRule>(given.Rules.Count);
        for (var i = 0; i < given.Rules.Count; i++)
        {
            var (rule, here) = (given.Rules[i], $"{path}.rules[{i}]");
            var requirement = Requirement(rule, given, here, errors);
            if (RouteDecoder.Match(rule.Match, $"{here}.match", errors) is { } match)
            {
                rules.Add(new JwtRule(match, requirement));
            }
        }

        return new Config.JwtAuthentication(providers, rules);
    }

    private static Config.JwtProvider Provider(string name, Wire.JwtProvider given, string path, DecodeErrors errors)
    {
        if (given.Issuer.Length == 0)
        {
            errors.Add($"{path}.issuer", "is empty", "Name the issuer: tokens of anybody are not believed.");
        }

        if (given.ClockSkewSeconds > MaxSkewSeconds)
        {
            errors.Add($"{path}.clock_skew_seconds", $"is {given.ClockSkewSeconds}", $"Use at most {MaxSkewSeconds}.");
        }

        return new Config.JwtProvider(name, given.Issuer, [.. given.Audiences], Keys(given, path, errors))
        {
            ClaimsKey = given.PayloadInMetadata.Length > 0 ? given.PayloadInMetadata : name,
            Forward = given.Forward,
            Places = Places(given, path, errors),
            ClockSkew = TimeSpan.FromSeconds(given.ClockSkewSeconds is 0 ? 60 : Math.Min(given.ClockSkewSeconds, MaxSkewSeconds)),
            ClaimHeaders = ClaimHeaders(given.ClaimToHeaders, $"{path}.claim_to_headers", errors),
        };
    }

    private static JwtKeys Keys(Wire.JwtProvider given, string path, DecodeErrors errors)
    {
        switch (given.JwksSourceSpecifierCase)
        {
            case Wire.JwtProvider.JwksSourceSpecifierOneofCase.LocalJwks:
                return Inline(given.LocalJwks, $"{path}.local_jwks", errors);
            case Wire.JwtProvider.JwksSourceSpecifierOneofCase.RemoteJwks:
                return Remote(given.RemoteJwks, $"{path}.remote_jwks", errors);
            default:
                errors.Add(path, "has no keys that are known here", "Set local_jwks or remote_jwks.");
                return None;
        }
    }

    // Stands where an error was noted.
    private static JwtKeys.Remote None => new(new Uri("https://invalid/"), null, _longestFetch);

    private static JwtKeys Inline(DataSource given, string path, DecodeErrors errors)
    {
        byte[]? json = given.SpecifierCase switch
        {
            DataSource.SpecifierOneofCase.InlineBytes => given.InlineBytes.ToByteArray(),
            DataSource.SpecifierOneofCase.InlineString => Encoding.UTF8.GetBytes(given.InlineString),
            _ => null,
        };
        if (json is null)
        {
            errors.Add(path, "has no inline key set", "Send the keys themselves in inline_string or inline_bytes: files of the control plane are not here.");
            return None;
        }

        if (!JsonWebKeySet.TryParse(json, out var set, out var problem))
        {
            errors.Add(path, problem, "Give a JSON Web Key Set (RFC 7517 §5).");
            return None;
        }

        return new JwtKeys.Inline(set);
    }

    private static JwtKeys.Remote Remote(RemoteJwks given, string path, DecodeErrors errors)
    {
        var text = given.HttpUri?.Uri ?? string.Empty;
        if (text.Length > MaxUriLength || !Uri.TryCreate(text, UriKind.Absolute, out var uri)
            || (uri.Scheme != Uri.UriSchemeHttps && uri.Scheme != Uri.UriSchemeHttp) || uri.UserInfo.Length > 0 || uri.Fragment.Length > 0)
        {
            errors.Add($"{path}.http_uri.uri", $"is '{(text.Length > 80 ? text[..80] + "…" : text)}'", $"Use an https address without user and fragment, at most {MaxUriLength} characters.");
            return None;
        }

        var timeout = errors.Time(given.HttpUri!.Timeout, $"{path}.http_uri.timeout");
        var duration = errors.Time(given.CacheDuration, $"{path}.cache_duration");
        return new JwtKeys.Remote(
            uri,
            duration > TimeSpan.Zero ? duration : null,
            timeout > TimeSpan.Zero && timeout < _longestFetch ? timeout.Value : _longestFetch);
    }

    private static List<JwtPlace> Places(Wire.JwtProvider given, string path, DecodeErrors errors)
    {
        var places = new List<JwtPlace>(given.FromHeaders.Count + given.FromParams.Count);
        for (var i = 0; i < given.FromHeaders.Count; i++)
        {
            var (header, here) = (given.FromHeaders[i], $"{path}.from_headers[{i}].name");
            if (HeaderChangesDecoder.WhyNot(header.Name) is { } why)
            {
                errors.Add(here, $"is '{header.Name}', which {why}", "Name the header that holds the token.");
            }

            places.Add(new JwtPlace(true, header.Name.ToLowerInvariant(), header.ValuePrefix));
        }

        for (var i = 0; i < given.FromParams.Count; i++)
        {
            if (given.FromParams[i].Length == 0)
            {
                errors.Add($"{path}.from_params[{i}]", "is empty", "Name the query parameter that holds the token.");
            }

            places.Add(new JwtPlace(false, given.FromParams[i], string.Empty));
        }

        return places.Count == 0 ? [JwtPlace.Bearer] : places;
    }

    private static List<JwtClaimHeader> ClaimHeaders(RepeatedField<JwtClaimToHeader> given, string path, DecodeErrors errors)
    {
        var headers = new List<JwtClaimHeader>(given.Count);
        for (var i = 0; i < given.Count; i++)
        {
            if (HeaderChangesDecoder.WhyNot(given[i].HeaderName) is { } why)
            {
                errors.Add($"{path}[{i}].header_name", $"is '{given[i].HeaderName}', which {why}", "Name another header, such as x-mesh-claim-sub.");
            }

            if (given[i].ClaimName.Length == 0)
            {
                errors.Add($"{path}[{i}].claim_name", "is empty", "Name the claim, such as sub or realm_access.roles.");
            }

            headers.Add(new JwtClaimHeader(given[i].HeaderName.ToLowerInvariant(), given[i].ClaimName));
        }

        return headers;
    }

    private static Config.JwtRequirement? Requirement(RequirementRule rule, Wire.JwtAuthentication given, string path, DecodeErrors errors)
    {
        switch (rule.RequirementTypeCase)
        {
            case RequirementRule.RequirementTypeOneofCase.Requires:
                return Requirement(rule.Requires, given.Providers, $"{path}.requires", errors);
            case RequirementRule.RequirementTypeOneofCase.RequirementName:
                if (given.RequirementMap.TryGetValue(rule.RequirementName, out var named))
                {
                    return Requirement(named, given.Providers, $"{path}.requirement_name", errors);
                }

                errors.Add($"{path}.requirement_name", $"is '{rule.RequirementName}', which requirement_map lacks", "Name one that is there.");
                return null;
            default:
                return null; // nothing is asked (Envoy)
        }
    }

    private static Config.JwtRequirement? Requirement(Wire.JwtRequirement given, MapField<string, Wire.JwtProvider> providers, string path, DecodeErrors errors)
    {
        var names = new List<string>();
        var (missing, failed) = (false, false);
        Add(given, path);
        // Those of all providers, where only what may be absent is said (Envoy).
        return names.Count == 0 && !missing && !failed ? null
            : new Config.JwtRequirement(names.Count > 0 ? names : [.. providers.Keys.Order(StringComparer.Ordinal)], missing || failed, failed);

        void Add(Wire.JwtRequirement one, string here)
        {
            switch (one.RequiresTypeCase)
            {
                case Wire.JwtRequirement.RequiresTypeOneofCase.ProviderName:
                    if (!providers.ContainsKey(one.ProviderName))
                    {
                        errors.Add($"{here}.provider_name", $"is '{one.ProviderName}', which providers lacks", "Name one that is there.");
                    }

                    names.Add(one.ProviderName);
                    break;
                case Wire.JwtRequirement.RequiresTypeOneofCase.RequiresAny:
                    for (var i = 0; i < one.RequiresAny.Requirements.Count; i++)
                    {
                        Add(one.RequiresAny.Requirements[i], $"{here}.requires_any.requirements[{i}]");
                    }

                    break;
                case Wire.JwtRequirement.RequiresTypeOneofCase.AllowMissing:
                    missing = true;
                    break;
                case Wire.JwtRequirement.RequiresTypeOneofCase.AllowMissingOrFailed:
                    failed = true;
                    break;
                case Wire.JwtRequirement.RequiresTypeOneofCase.ProviderAndAudiences:
                    errors.Add($"{here}.provider_and_audiences", "is not supported", "Make a provider with these audiences and use provider_name.");
                    break;
                case Wire.JwtRequirement.RequiresTypeOneofCase.RequiresAll:
                    errors.Add($"{here}.requires_all", "is not supported", "Use provider_name or requires_any; ask for more in an RBAC rule.");
                    break;
                default:
                    errors.Add(here, "asks for nothing that is known here", "Set provider_name, requires_any, allow_missing or allow_missing_or_failed.");
                    break;
            }
        }
    }
}
