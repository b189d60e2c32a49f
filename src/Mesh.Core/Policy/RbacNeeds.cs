using Mesh.Config;
using Mesh.Traffic;

namespace Mesh.Policy;

/// <summary>What a policy cannot match without: one of these names of the caller, or one of these paths.</summary>
internal static class RbacNeeds
{
    /// <summary>A policy with more of them is not filed by them.</summary>
    private const int Most = 256;

    /// <returns>Null when it may match any caller.</returns>
    public static IReadOnlyList<RbacText>? Names(RbacPolicy policy) => Of(policy, c => c is RbacCondition.Authenticated { Name: { } name } ? name : null);

    /// <returns>Null when it may match any path.</returns>
    public static IReadOnlyList<RbacText>? Paths(RbacPolicy policy) => Of(policy, c => c is RbacCondition.Path { Matcher: var path } ? path : null);

    private static IReadOnlyList<RbacText>? Of(RbacPolicy policy, Func<RbacCondition, StringMatcher?> read) =>
        Fewer(Any(policy.Permissions, read), Any(policy.Principals, read)) is { Count: <= Most } needs ? needs : null;

    private static IReadOnlyList<RbacText>? Of(RbacCondition condition, Func<RbacCondition, StringMatcher?> read) => condition switch
    {
        RbacCondition.AllOf all => all.Conditions.Select(c => Of(c, read)).Aggregate((IReadOnlyList<RbacText>?)null, Fewer),
        RbacCondition.AnyOf any => Any(any.Conditions, read),
        _ => read(condition) is { } text ? Of(text) : null,
    };

    private static IReadOnlyList<RbacText>? Of(StringMatcher text) => text.Kind switch
    {
        StringMatchKind.Exact => [new(text.Text, false)],
        StringMatchKind.Prefix or StringMatchKind.PathPrefix when text.Text.Length > 0 => [new(text.Text, true)],
        _ => null,
    };

    private static List<RbacText>? Any(IReadOnlyList<RbacCondition> conditions, Func<RbacCondition, StringMatcher?> read)
    {
        var all = new List<RbacText>();
        foreach (var condition in conditions)
        {
            if (Of(condition, read) is not { } texts || all.Count + texts.Count > Most)
            {
                return null;
            }

            all.AddRange(texts);
        }

        return all;
    }

    private static IReadOnlyList<RbacText>? Fewer(IReadOnlyList<RbacText>? one, IReadOnlyList<RbacText>? other) =>
        one is null ? other : other is null || one.Count <= other.Count ? one : other;
}
