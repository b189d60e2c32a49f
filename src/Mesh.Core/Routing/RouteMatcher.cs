using Mesh.Config;
using Mesh.Traffic;

namespace Mesh.Routing;

/// <summary>Decides whether one route takes a call. Immutable and thread-safe.</summary>
internal sealed class RouteMatcher(RouteMatch match)
{
    private const int Million = 1_000_000;

    /// <summary>Takes every call without looking at it.</summary>
    public bool TakesAll { get; } =
        match.Headers.Count == 0 && match.QueryParameters.Count == 0 && match.FractionPerMillion is null && match.Template is null && IsAnyPath(match.Path);

    public bool Matches(RequestHead head, Random random)
    {
        if (TakesAll)
        {
            return true;
        }

        if (match.Path is not null && !match.Path.Matches(head.Path))
        {
            return false;
        }

        if (match.Template is not null && !match.Template.Matches(head.Path))
        {
            return false;
        }

        for (var i = 0; i < match.Headers.Count; i++)
        {
            if (!match.Headers[i].Matches(head))
            {
                return false;
            }
        }

        for (var i = 0; i < match.QueryParameters.Count; i++)
        {
            if (!match.QueryParameters[i].MatchesValue(QueryValue(head.Query, match.QueryParameters[i].Name)))
            {
                return false;
            }
        }

        // Drawn last and independently of the cluster's weights (gRFC A28).
        return match.FractionPerMillion is not { } fraction || random.Next(Million) < fraction;
    }

    private static bool IsAnyPath(StringMatcher? path) => path is null or { Kind: StringMatchKind.Prefix or StringMatchKind.PathPrefix, Text: "" or "/" };

    /// <summary>The first value of a query parameter, decoded; null when absent.</summary>
    internal static string? QueryValue(string query, string name)
    {
        foreach (var range in query.AsSpan().Split('&'))
        {
            var pair = query.AsSpan(range);
            var equals = pair.IndexOf('=');
            var key = equals < 0 ? pair : pair[..equals];
            if (key.SequenceEqual(name) || (key.ContainsAny('%', '+') && Decode(key) == name))
            {
                return equals < 0 ? string.Empty : Decode(pair[(equals + 1)..]);
            }
        }

        return null;
    }

    private static string Decode(ReadOnlySpan<char> text) => Uri.UnescapeDataString(text.ToString().Replace('+', ' '));
}
