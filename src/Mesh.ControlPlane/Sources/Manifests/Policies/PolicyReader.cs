using System.Collections.Immutable;
using Mesh.ControlPlane.Model.Policies;

namespace Mesh.ControlPlane.Sources.Manifests.Policies;

/// <summary>Reads what all policies have in common, then lets the kind read its own fields.</summary>
internal static class PolicyReader
{
    // As Gateway API bounds targetRefs.
    private const int MaxTargets = 16;
    private const int MaxLabels = 16;

    public static Func<YamlMap, ManifestKey, ObjectMeta, Manifest?> Of(PolicyKind kind) => (root, key, meta) =>
    {
        var where = root.Where;
        var spec = root.Map("spec", required: true);
        if (spec is null)
        {
            return null;
        }

        var targets = ReadTargets(spec, kind, key);
        var fields = new PolicyFields(spec, key, [.. targets.Select(t => t.Target.Kind)]);
        kind.Read(fields);
        spec.Close();
        if (fields.Values.Count == 0 && !spec.Problems.Refused)
        {
            spec.Problems.Refuse(spec.Node, "spec says nothing but its targets. Add a field, or remove the policy.");
        }

        return new PolicyManifest(key, where, meta.Created, targets, [.. fields.Values]) { ExpiresAt = fields.ExpiresAt };
    };

    private static ImmutableArray<PolicyTargetManifest> ReadTargets(YamlMap spec, PolicyKind kind, ManifestKey key)
    {
        var targets = ImmutableArray.CreateBuilder<PolicyTargetManifest>();
        foreach (var target in spec.Maps("targetRefs"))
        {
            if (ReadTarget(target, kind, key) is not { } read)
            {
                continue;
            }

            if (targets.Any(t => t.Target == read))
            {
                target.Problems.Refuse(target.Node, $"targetRefs names {read} twice. Remove one of the two.");
                continue;
            }

            targets.Add(new PolicyTargetManifest(read, target.Where));
        }

        if (kind.HasSelector && spec.Map("selector") is { } selector)
        {
            if (spec.Find("targetRefs") is not null)
            {
                spec.Problems.Refuse(selector.Node, "spec has selector and targetRefs. Keep one: workloads by labels, or objects by name.");
            }

            if (ReadSelector(selector) is { } workloads)
            {
                targets.Add(new PolicyTargetManifest(workloads, selector.Where));
            }
        }
        else if (targets.Count is 0 or > MaxTargets && !spec.Problems.Refused)
        {
            spec.Problems.Refuse(spec.Find("targetRefs") ?? spec.Node, $"spec.targetRefs has {targets.Count} entries. Name 1–{MaxTargets} targets: {Kinds(kind)}.");
        }

        return targets.ToImmutable();
    }

    private static PolicyTarget? ReadSelector(YamlMap selector)
    {
        var labels = selector.TextMap("matchLabels");
        if (labels.Count is 0 or > MaxLabels)
        {
            selector.Problems.Refuse(selector.Find("matchLabels") ?? selector.Node,
                $"{selector.Field("matchLabels")} has {labels.Count} labels. Give 1–{MaxLabels} that the workloads have, or use a targetRef of kind Namespace for all of them.");
        }

        foreach (var (name, value) in labels.Where(l => !Names.IsLabelName(l.Key) || !Names.IsLabelValue(l.Value)))
        {
            selector.Problems.Refuse(selector.Find("matchLabels")!.Value, $"{selector.Field("matchLabels")} has '{name}: {value}'. {Names.LabelPairRule}");
        }

        selector.Close();
        return labels.IsEmpty || labels.Any(l => !Names.IsLabelName(l.Key) || !Names.IsLabelValue(l.Value)) ? null : PolicyTarget.Workloads(labels);
    }

    private static PolicyTarget? ReadTarget(YamlMap target, PolicyKind kind, ManifestKey key)
    {
        var word = target.Word("kind", null, [.. kind.Targets.Where(t => t != PolicyTargetKind.Workload).Select(t => t.ToString())]);
        var group = target.Text("group", required: true);
        var name = target.Text("name", required: true);
        var section = target.Text("sectionName");
        if (target.Text("namespace") is { } ns)
        {
            target.Bad("namespace", ns, $"A policy is attached in its own namespace ('{key.Namespace}') only: remove the field.");
        }

        target.Close();
        if (word is null || group is null || name is null || !Enum.TryParse<PolicyTargetKind>(word, out var targetKind))
        {
            return null;
        }

        var wanted = targetKind is PolicyTargetKind.Service or PolicyTargetKind.Namespace ? string.Empty : RouteFields.GatewayGroup;
        if (group != wanted)
        {
            target.Bad("group", group, wanted.Length == 0 ? $"A {word} is in the core group: write group: \"\"." : $"Write group: {wanted} for kind {word}.");
        }

        if (targetKind == PolicyTargetKind.Namespace && name != key.Namespace)
        {
            target.Bad("name", name, $"A policy for a whole namespace stands in it: use '{key.Namespace}', or move the policy.");
        }

        if (targetKind == PolicyTargetKind.Namespace && section is not null)
        {
            target.Bad("sectionName", section, "A Namespace has no sections: remove the field.");
        }

        return new PolicyTarget(targetKind, name, section is { Length: > 0 } ? section : null);
    }

    private static string Kinds(PolicyKind kind) => string.Join(", ", kind.Targets.Where(t => t != PolicyTargetKind.Workload)) + (kind.HasSelector ? ", or workloads by spec.selector.matchLabels" : string.Empty);
}
