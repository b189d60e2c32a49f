using System.Globalization;
using System.Text.Json;
using Mesh.Config;
using Mesh.Policy;
using Mesh.Traffic;

namespace Mesh.Core.Tests.Policy;

/// <summary>What RBAC means, written down as plainly as it goes: the oracle of the engine.</summary>
internal static class NaiveRbac
{
    public static PolicyDecision Decide(IEnumerable<RbacRules?> filters, RbacRequest request)
    {
        var rules = filters.OfType<RbacRules>().ToList();
        var denying = rules.Where(r => r.Action == RbacAction.Deny).SelectMany(r => r.Policies.Where(p => Matches(p, request, true)).OrderBy(p => p.Name, StringComparer.Ordinal).Take(1)).FirstOrDefault();
        if (denying is not null)
        {
            return new PolicyDecision(false, PolicyStage.Deny, denying.Name);
        }

        var decision = PolicyDecision.Unrestricted;
        foreach (var allow in rules.Where(r => r.Action == RbacAction.Allow))
        {
            var allowing = allow.Policies.Where(p => Matches(p, request, false)).OrderBy(p => p.Name, StringComparer.Ordinal).FirstOrDefault();
            if (allowing is null)
            {
                return new PolicyDecision(false, PolicyStage.Default, null);
            }

            decision = new PolicyDecision(true, PolicyStage.Allow, allowing.Name);
        }

        return decision;
    }

    public static bool Matches(RbacPolicy policy, RbacRequest request, bool doubt) =>
        policy.Permissions.Any(c => Holds(c, request, doubt)) && policy.Principals.Any(c => Holds(c, request, doubt));

    private static bool Holds(RbacCondition condition, RbacRequest request, bool doubt) => condition switch
    {
        RbacCondition.Always => true,
        RbacCondition.AllOf all => all.Conditions.All(c => Holds(c, request, doubt)),
        RbacCondition.AnyOf any => any.Conditions.Any(c => Holds(c, request, doubt)),
        RbacCondition.Not not => !Holds(not.Condition, request, !doubt),
        RbacCondition.Header header => Header(header.Matcher, request.Head!, doubt),
        RbacCondition.Path path => path.Matcher.Matches(request.Head!.Path),
        RbacCondition.Source source => source.Range.Contains(request.Connection.Source),
        RbacCondition.Destination to => to.Range.Contains(request.Connection.Destination),
        RbacCondition.DestinationPort port => Enumerable.Range(port.First, port.Last - port.First + 1).Contains(request.Connection.DestinationPort),
        RbacCondition.Authenticated caller => request.Connection.Caller is { } known && (caller.Name is null || known.Names.Any(caller.Name.Matches)),
        RbacCondition.ServerName name => name.Matcher.Matches(""),
        RbacCondition.Metadata metadata => Claim(metadata, request.Claims) != metadata.Invert,
        _ => throw new ArgumentOutOfRangeException(nameof(condition)),
    };

    private static bool Header(HeaderMatcher matcher, RequestHead head, bool doubt)
    {
        var name = matcher.Name == "host" ? ":authority" : matcher.Name;
        var hidden = name == "te" || name.EndsWith("-bin", StringComparison.Ordinal);
        var lines = hidden ? [] : Enumerable.Range(0, head.Lines(name)).Select(i => head.Line(name, i)).ToList();
        if (matcher.Kind == HeaderMatchKind.Present)
        {
            return lines.Count > 0 != matcher.Invert;
        }

        if (lines.Count == 0)
        {
            return matcher.MissingIsEmpty && One("") != matcher.Invert;
        }

        var joined = string.Join(',', lines);
        var holds = doubt != matcher.Invert
            ? lines.Append(joined).Concat(name[0] == ':' ? [] : lines.SelectMany(l => l.Split(',')).Select(m => m.Trim())).Any(One)
            : lines.Append(joined).All(One);
        return holds != matcher.Invert;

        bool One(string value) => matcher.Kind == HeaderMatchKind.Text
            ? matcher.Text!.Matches(value) || (name == ":method" && doubt != matcher.Invert && matcher.Text.Kind != StringMatchKind.Regex && (matcher.Text with { IgnoreCase = true }).Matches(value))
            : long.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) && number >= matcher.Start && number < matcher.End;
    }

    private static bool Claim(RbacCondition.Metadata metadata, VerifiedClaims claims) =>
        metadata.Filter == VerifiedClaims.Filter && claims.Find(metadata.Segments) is { } value && Value(metadata.Value, value);

    private static bool Value(ValueMatcher matcher, JsonElement value) => matcher switch
    {
        ValueMatcher.Text text => value.ValueKind == JsonValueKind.String && text.Matcher.Matches(value.GetString()!),
        ValueMatcher.Boolean boolean => value.ValueKind == (boolean.Value ? JsonValueKind.True : JsonValueKind.False),
        ValueMatcher.Present => value.ValueKind != JsonValueKind.Null,
        ValueMatcher.OneOf list => value.ValueKind == JsonValueKind.Array && value.EnumerateArray().Any(e => Value(list.Element, e)),
        ValueMatcher.AnyOf any => any.Matchers.Any(m => Value(m, value)),
        _ => throw new ArgumentOutOfRangeException(nameof(matcher)),
    };
}
