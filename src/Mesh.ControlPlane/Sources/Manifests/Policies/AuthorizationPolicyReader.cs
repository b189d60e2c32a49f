using System.Collections.Immutable;
using Mesh.ControlPlane.Model.Policies;

namespace Mesh.ControlPlane.Sources.Manifests.Policies;

/// <summary>Reads AuthorizationPolicy: who may do what.</summary>
internal static class AuthorizationPolicyReader
{
    private const int MaxRules = 256;
    private const int MaxConditions = 4096;

    public static readonly PolicyKind Kind =
        new(AuthorizationSettings.Kind, [.. PolicyKind.Workloads, .. PolicyKind.Routes], Read) { IsAdditive = true, Closes = true };

    private static void Read(PolicyFields fields)
    {
        var spec = fields.Spec;
        var audit = spec.Word("mode", "Enforce", "Enforce", "Audit") == "Audit";
        if (spec.Find("rules") is null)
        {
            spec.Missing("rules", "Add a rule with action and from or to. To let nobody in, use a ServerPolicy with access: deny.");
            return;
        }

        var rules = ImmutableArray.CreateBuilder<AuthorizationRule>();
        foreach (var map in ListFields.Maps(spec, "rules", MaxRules))
        {
            var rule = ReadRule(map, rules.Count, fields);
            if (rules.Any(r => r.Name == rule.Name))
            {
                map.Bad("name", rule.Name, "Another rule of this policy has that name: give each its own, answers and metrics tell them apart by it.");
            }

            rules.Add(rule);
        }

        if (rules.Sum(r => r.Conditions) is > MaxConditions and var conditions)
        {
            spec.Problems.Refuse(spec.Find("rules")!.Value, $"spec.rules has {conditions} conditions. Use at most {MaxConditions}, or part the policy.");
        }

        fields.Add(spec, "rules", AuthorizationSettings.Rules, new AuthorizationRules(audit, rules.ToImmutable()));
    }

    private static AuthorizationRule ReadRule(YamlMap rule, int position, PolicyFields fields)
    {
        var name = rule.Text("name");
        if (name is not null && (!Names.IsLabel(name) || name.All(char.IsAsciiDigit)))
        {
            rule.Bad("name", name, Names.LabelRule + " Not digits alone: so rules without a name are called.");
        }

        var action = rule.Word("action", null, Enum.GetNames<RuleAction>());
        var from = ListFields.Maps(rule, "from").Select(f => CallerMatchReader.Read(f, fields.Namespace)).ToImmutableArray();
        var to = ListFields.Maps(rule, "to").Select(RequestMatchReader.Read).ToImmutableArray();
        rule.Close();
        return new AuthorizationRule(name ?? Shown.Number(position), action is null ? RuleAction.Deny : Enum.Parse<RuleAction>(action), from, to, rule.Where);
    }
}
