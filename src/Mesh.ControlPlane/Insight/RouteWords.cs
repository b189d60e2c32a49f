using System.Collections.Immutable;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Insight;

/// <summary>Says in words what differs between two versions of a route. Pure.</summary>
internal static class RouteWords
{
    /// <returns>Null when they say the same.</returns>
    public static string? Of(TrafficRoute before, TrafficRoute after)
    {
        if (before.Rules.Length != after.Rules.Length)
        {
            return $"changed: {after.Rules.Length} rules where {before.Rules.Length} were";
        }

        var changes = new List<string>();
        for (var i = 0; i < after.Rules.Length; i++)
        {
            changes.AddRange(Of(before.Rules[i], after.Rules[i]).Select(c => after.Rules.Length == 1 ? c : $"{Name(after.Rules[i], i)} {c}"));
        }

        if (!before.Parents.SequenceEqual(after.Parents))
        {
            changes.Add($"for {string.Join(", ", after.Parents.Select(p => p.Service.Name).Distinct())}");
        }

        return changes.Count == 0 ? null : $"changed: {string.Join("; ", changes)}";
    }

    /// <summary>As <c>weights 90/10</c>, or the one backend.</summary>
    public static string Weights(ImmutableArray<BackendRef> backends) => backends.Length switch
    {
        0 => "no backend",
        1 => $"backend {backends[0].Service.Name}",
        _ => $"weights {string.Join('/', backends.Select(b => b.Weight))}",
    };

    private static IEnumerable<string> Of(RouteRule before, RouteRule after)
    {
        if (!before.Backends.SequenceEqual(after.Backends))
        {
            var sameBackends = before.Backends.Select(b => (b.Service, b.Port)).SequenceEqual(after.Backends.Select(b => (b.Service, b.Port)));
            yield return sameBackends || after.Backends.Length < 2 ? Weights(after.Backends) : $"backends {string.Join(", ", after.Backends.Select(b => b.Service.Name))}, {Weights(after.Backends)}";
        }

        if (!Texts(before.Matches).SequenceEqual(Texts(after.Matches)))
        {
            yield return $"matches {(after.Matches.IsEmpty ? "everything" : string.Join(" or ", Texts(after.Matches)))}";
        }

        if (before.RequestTimeout != after.RequestTimeout || before.BackendRequestTimeout != after.BackendRequestTimeout)
        {
            yield return "time-outs";
        }

        if (!Same(before.Retry, after.Retry))
        {
            yield return "retries";
        }

        if (before.Session != after.Session)
        {
            yield return "session persistence";
        }

        if (before.Filters.ToString() != after.Filters.ToString() || !before.Filters.Mirrors.SequenceEqual(after.Filters.Mirrors) || before.Filters.Direct != after.Filters.Direct
            || !Same(before.Filters.RequestHeaders, after.Filters.RequestHeaders) || !Same(before.Filters.ResponseHeaders, after.Filters.ResponseHeaders))
        {
            yield return "filters";
        }
    }

    private static bool Same(RuleRetry? a, RuleRetry? b) =>
        a is null || b is null ? a is null && b is null : a.Attempts == b.Attempts && a.Backoff == b.Backoff && a.Codes.SequenceEqual(b.Codes);

    private static bool Same(HeaderModifier? a, HeaderModifier? b) =>
        a is null || b is null ? a is null && b is null : a.Set.SequenceEqual(b.Set) && a.Add.SequenceEqual(b.Add) && a.Remove.SequenceEqual(b.Remove);

    private static IEnumerable<string> Texts(ImmutableArray<RuleMatch> matches) => matches.Select(m => m.ToString());

    private static string Name(RouteRule rule, int position) => rule.Name.Length > 0 ? $"rule {rule.Name}" : $"rule {position}";
}
