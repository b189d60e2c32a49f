using Mesh.Config;
using Mesh.Traffic;

namespace Mesh.Inbound;

/// <summary>Takes a token out of its place in a request. Pure.</summary>
internal static class TokenReader
{
    /// <summary>The token, not looked at; empty when the place has none.</summary>
    /// <remarks>A header that came twice is read with its comma, a parameter that came twice as one: neither is a token.</remarks>
    public static ReadOnlySpan<char> Read(RequestHead head, JwtPlace place)
    {
        if (!place.IsHeader)
        {
            return Parameter(head.Query, place.Name);
        }

        var value = head.Header(place.Name).AsSpan().Trim();
        var prefix = place.Prefix.AsSpan().Trim(' ');
        if (prefix.Length == 0)
        {
            return value;
        }

        // RFC 9110 §11.1: schemes ignore case. What goes on without a space is another scheme, unless the prefix says none.
        if (!value.StartsWith(prefix, StringComparison.OrdinalIgnoreCase))
        {
            return default;
        }

        var rest = value[prefix.Length..];
        return place.Prefix.EndsWith(' ') && rest is not [' ', ..] ? default : rest.TrimStart(' ');
    }

    /// <summary>The query without a parameter; the same text when it has none of that name.</summary>
    /// <param name="query">Without its question mark.</param>
    public static string Without(string query, string name)
    {
        var kept = new List<string>();
        var pairs = query.Split('&');
        foreach (var pair in pairs)
        {
            if (!IsNamed(pair, name, out _))
            {
                kept.Add(pair);
            }
        }

        return kept.Count == pairs.Length ? query : string.Join('&', kept);
    }

    private static ReadOnlySpan<char> Parameter(string query, string name)
    {
        var found = ReadOnlySpan<char>.Empty;
        var count = 0;
        foreach (var range in query.AsSpan().Split('&'))
        {
            var pair = query.AsSpan(range);
            if (IsNamed(pair, name, out var value))
            {
                found = value;
                count++;
            }
        }

        return count > 1 ? "," : found;
    }

    private static bool IsNamed(ReadOnlySpan<char> pair, string name, out ReadOnlySpan<char> value)
    {
        var equals = pair.IndexOf('=');
        var key = equals < 0 ? pair : pair[..equals];
        // No character of a token needs an escape: an escaped value is none.
        value = equals < 0 ? default : pair[(equals + 1)..];
        return key.SequenceEqual(name) || (key.ContainsAny('%', '+') && Uri.UnescapeDataString(key.ToString().Replace('+', ' ')) == name);
    }
}
