using Google.Protobuf.WellKnownTypes;
using Mesh.Config;
using Mesh.Protos.Envoy.Filters;

namespace Mesh.Xds.Decoding;

/// <summary>Sessions that stick to an endpoint (gRFC A55).</summary>
internal static class SessionAffinityDecoder
{
    /// <returns>Null when it was wrong.</returns>
    public static SessionAffinity? Decode(StatefulSession given, string path, DecodeErrors errors)
    {
        if (given.SessionState is null)
        {
            return SessionAffinity.None;
        }

        var here = $"{path}.session_state.typed_config";
        var config = given.SessionState.TypedConfig;
        switch (config is null ? string.Empty : Any.GetTypeName(config.TypeUrl))
        {
            case "envoy.extensions.http.stateful_session.cookie.v3.CookieBasedSessionState":
                return errors.Unpack<CookieBasedSessionState>(config, here) is { } state ? Cookie(state.Cookie, given.Strict, $"{here}.cookie", errors) : null;
            case "envoy.extensions.http.stateful_session.header.v3.HeaderBasedSessionState":
                var header = errors.Unpack<HeaderBasedSessionState>(config, here);
                if (header is not null && !IsToken(header.Name))
                {
                    errors.Add($"{here}.name", $"is '{header.Name}'", "Give a header name: letters, digits, '-'.");
                }

                return header is null ? null : new SessionAffinity(SessionCarrier.Header, header.Name, given.Strict);
            default:
                errors.Add(here, $"has the type '{config?.TypeUrl}', which is not known here", "Use CookieBasedSessionState or HeaderBasedSessionState.");
                return null;
        }
    }

    /// <returns>Null turns sessions off there.</returns>
    public static SessionAffinity? Decode(StatefulSessionPerRoute given, string path, DecodeErrors errors)
    {
        switch (given.OverrideCase)
        {
            case StatefulSessionPerRoute.OverrideOneofCase.StatefulSession:
                return Decode(given.StatefulSession, $"{path}.stateful_session", errors);
            case StatefulSessionPerRoute.OverrideOneofCase.Disabled when given.Disabled:
                return null;
            default:
                errors.Add(path, given.OverrideCase == StatefulSessionPerRoute.OverrideOneofCase.Disabled ? "has disabled: false" : "is empty", "Use disabled: true, or give a stateful_session.");
                return null;
        }
    }

    private static SessionAffinity? Cookie(Protos.Envoy.Type.Cookie? given, bool strict, string path, DecodeErrors errors)
    {
        if (given is null)
        {
            errors.Add(path, "is not set", "Give the cookie's name.");
            return null;
        }

        if (!IsToken(given.Name))
        {
            errors.Add($"{path}.name", $"is '{given.Name}'", "Give a cookie name: letters, digits, '-', '_' (RFC 6265 §4.1.1).");
        }

        // RFC 6265 §4.1.1: it must not end the attribute.
        if (given.Path.Length > 0 && (!given.Path.StartsWith('/') || given.Path.AsSpan().ContainsAny(';', '\r', '\n')))
        {
            errors.Add($"{path}.path", $"is '{given.Path}'", "Use a path that begins with '/', without ';', or leave it out.");
        }

        var ttl = errors.Time(given.Ttl, $"{path}.ttl") ?? TimeSpan.Zero;
        return new SessionAffinity(SessionCarrier.Cookie, given.Name, strict) { Ttl = ttl, Path = given.Path };
    }

    // RFC 9110 §5.6.2.
    private static bool IsToken(string name) =>
        name.Length > 0 && name.All(c => char.IsAsciiLetterOrDigit(c) || "!#$%&'*+-.^_`|~".Contains(c, StringComparison.Ordinal));
}
