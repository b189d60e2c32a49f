using System.Collections.Immutable;
using System.Text.RegularExpressions;
using Mesh.ControlPlane.Model.Policies;

namespace Mesh.ControlPlane.Sources.Manifests.Policies;

/// <summary>Reads MatchPolicy: conditions of a rule for which Gateway API has no words.</summary>
internal static partial class MatchPolicyReader
{
    public static readonly PolicyKind Kind = new("MatchPolicy", PolicyKind.Routes, Read);

    private static void Read(PolicyFields fields)
    {
        var spec = fields.Spec;
        if (spec.Find("callers") is not null)
        {
            var callers = spec.Maps("callers").Select(ReadCaller).OfType<Caller>().ToImmutableArray();
            if (callers.IsEmpty && !spec.Problems.Refused)
            {
                spec.Problems.Refuse(spec.Find("callers")!.Value, "spec.callers is empty: nobody would be left. Add a caller, or remove the field.");
            }

            fields.Add(spec, "callers", MatchSettings.Callers, callers);
        }

        if (spec.Text("pathTemplate") is { } template)
        {
            if (TemplateProblem(template) is { } problem)
            {
                spec.Bad("pathTemplate", template, problem);
            }

            fields.Add(spec, "pathTemplate", MatchSettings.PathTemplate, template);
        }
    }

    private static Caller? ReadCaller(YamlMap caller)
    {
        var ns = caller.Text("namespace", required: true);
        var account = caller.Text("serviceAccount");
        caller.Close();
        if (ns is not null && !Names.IsLabel(ns))
        {
            caller.Bad("namespace", ns, Names.LabelRule);
        }

        if (account is not null && !Names.IsSubdomain(account))
        {
            caller.Bad("serviceAccount", account, Names.SubdomainRule);
        }

        return ns is null ? null : new Caller(ns, account);
    }

    /// <summary>xDS uri_template: segments of literals, <c>*</c>, <c>**</c>, <c>{name}</c> and <c>{name=…}</c>.</summary>
    private static string? TemplateProblem(string template)
    {
        const int MaxVariables = 5;
        if (!template.StartsWith('/'))
        {
            return "Start it with '/'.";
        }

        if (template.Contains("//", StringComparison.Ordinal))
        {
            return "It has an empty segment ('//').";
        }

        if (!TemplateRegex().IsMatch(template))
        {
            return "Use segments such as users, *, {id} or {rest=**}, with nothing beside the part in braces but a literal end such as {id}.json.";
        }

        var names = VariableRegex().Matches(template).Select(m => m.Groups[1].Value).ToArray();
        if (names.Length > MaxVariables)
        {
            return $"It has {names.Length} variables. Use at most {MaxVariables}.";
        }

        if (names.Distinct(StringComparer.Ordinal).Count() < names.Length)
        {
            return "It names a variable twice. Give each its own name.";
        }

        var rest = template.IndexOf("**", StringComparison.Ordinal);
        return rest >= 0 && template.AsSpan(rest + 2).ContainsAny('*', '{') ? "Nothing but literals may stand after '**'." : null;
    }

    [GeneratedRegex(@"\A(/(([A-Za-z0-9_.~!$&'()+,;=:@%-]*)|(\*\*?|\{[A-Za-z][A-Za-z0-9_]{0,15}(=(\*\*?|[A-Za-z0-9_.~-]+)(/(\*\*?|[A-Za-z0-9_.~-]+))*)?\})[A-Za-z0-9_.~-]*))+\z")]
    private static partial Regex TemplateRegex();

    [GeneratedRegex(@"\{([A-Za-z][A-Za-z0-9_]*)")]
    private static partial Regex VariableRegex();
}
