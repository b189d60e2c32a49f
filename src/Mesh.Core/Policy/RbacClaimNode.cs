using System.Text.Json;
using Mesh.Config;
using Mesh.Traffic;

namespace Mesh.Policy;

/// <summary>A condition on metadata: the claims of verified tokens. Other filters write none here, so of theirs every value is missing.</summary>
/// <remarks>Comparing with an exact text allocates nothing; other comparisons read the claim as a string.</remarks>
/// <param name="doubt">What a claim that cannot be read as text means for the condition as a whole.</param>
internal sealed class RbacClaimNode(RbacCondition.Metadata condition, bool doubt) : RbacLeaf
{
    private readonly bool _unreadableHolds = doubt != condition.Invert;

    public override bool NeedsHead => false;

    public override string Subject => condition.Filter == VerifiedClaims.Filter
        ? $"claim {string.Join('.', condition.Segments.Skip(1))} of {condition.Segments[0]}"
        : $"metadata {string.Join('.', condition.Segments)} of {condition.Filter}";

    public override string Wish => (condition.Invert ? "anything but " : string.Empty) + Wished(condition.Value);

    public override bool Matches(in RbacRequest request) =>
        (Find(request) is { } value && Holds(condition.Value, value)) != condition.Invert;

    // What a token says of a person is not for the log.
    public override string Seen(in RbacRequest request) => Find(request) is null ? $"{Subject} is missing" : $"{Subject} has another value";

    private JsonElement? Find(in RbacRequest request) => condition.Filter == VerifiedClaims.Filter ? request.Claims.Find(condition.Segments) : null;

    private bool Holds(ValueMatcher matcher, JsonElement value)
    {
        switch (matcher)
        {
            case ValueMatcher.Text { Matcher: var text }:
                return value.ValueKind == JsonValueKind.String ? Matches(text, value)
                    // As the token writes it.
                    : value.ValueKind == JsonValueKind.Number && text.Matches(value.GetRawText());
            case ValueMatcher.Boolean { Value: var wanted }:
                return value.ValueKind == (wanted ? JsonValueKind.True : JsonValueKind.False);
            case ValueMatcher.Present:
                return value.ValueKind is not (JsonValueKind.Null or JsonValueKind.Undefined);
            case ValueMatcher.OneOf { Element: var element }:
                if (value.ValueKind == JsonValueKind.Array)
                {
                    foreach (var one in value.EnumerateArray())
                    {
                        if (Holds(element, one))
                        {
                            return true;
                        }
                    }
                }

                return false;
            case ValueMatcher.AnyOf { Matchers: var matchers }:
                for (var i = 0; i < matchers.Count; i++)
                {
                    if (Holds(matchers[i], value))
                    {
                        return true;
                    }
                }

                return false;
            default:
                return _unreadableHolds;
        }
    }

    private bool Matches(StringMatcher text, JsonElement value)
    {
        try
        {
            return text is { Kind: StringMatchKind.Exact, IgnoreCase: false } ? value.ValueEquals(text.Text) : text.Matches(value.GetString()!);
        }
        catch (InvalidOperationException)
        {
            // Half a surrogate pair: no text at all.
            return _unreadableHolds;
        }
    }

    private static string Wished(ValueMatcher matcher) => matcher switch
    {
        ValueMatcher.Text { Matcher: var text } => RbacWords.Wish(text),
        ValueMatcher.Boolean { Value: var value } => value ? "true" : "false",
        ValueMatcher.Present => "any value",
        ValueMatcher.OneOf { Element: var element } => $"{Wished(element)} in its list",
        ValueMatcher.AnyOf { Matchers: var matchers } => string.Join(" or ", matchers.Take(3).Select(Wished)),
        _ => "another value",
    };
}
