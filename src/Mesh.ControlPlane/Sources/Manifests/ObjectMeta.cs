using System.Collections.Immutable;
using System.Globalization;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>What we read of <c>metadata</c>.</summary>
internal sealed record ObjectMeta(
    ImmutableSortedDictionary<string, string> Labels, ImmutableSortedDictionary<string, string> Annotations, DateTimeOffset? Created)
{
    /// <summary>It is being deleted.</summary>
    public bool Deleting { get; init; }

    public const string DefaultNamespace = "default";

    /// <summary>Annotation <c>meshlib.io/service-account</c>.</summary>
    public string? ServiceAccount => Annotations.TryGetValue(Sources.Annotations.ServiceAccount, out var account) && Names.IsSubdomain(account) ? account : null;

    /// <summary>Annotation <c>meshlib.io/opaque-ports</c>; null where there is none.</summary>
    public PortRanges? OpaquePorts =>
        Annotations.TryGetValue(Sources.Annotations.OpaquePorts, out var text) && PortRanges.TryParse(text, out var ports) ? ports : null;

    /// <summary>Annotation <c>meshlib.io/disable-tap</c>. What is written otherwise than <c>false</c> forbids: who forbids something and misspells it means it.</summary>
    public bool TapDisabled => Annotations.TryGetValue(Sources.Annotations.DisableTap, out var text) && text != "false";

    /// <param name="label">The name must be a label (a Service's stands in DNS), not just a subdomain.</param>
    public static ObjectMeta? Read(YamlMap root, bool label)
    {
        var meta = root.Map("metadata", required: true);
        if (meta is null)
        {
            return null;
        }

        if (meta.Text("name", required: true) is { } name && !(label ? Names.IsLabel(name) : Names.IsSubdomain(name)))
        {
            meta.Bad("name", name, label ? Names.LabelRule : Names.SubdomainRule);
        }

        if (meta.Text("namespace") is { } ns && !Names.IsLabel(ns))
        {
            meta.Bad("namespace", ns, Names.LabelRule);
        }

        var labels = meta.TextMap("labels");
        var annotations = meta.TextMap("annotations");
        CheckAnnotations(meta, annotations);
        DateTimeOffset? created = null;
        if (meta.Text("creationTimestamp") is { } text && text.Length > 0)
        {
            if (DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time))
            {
                created = time;
            }
            else
            {
                meta.Bad("creationTimestamp", text, "Use RFC 3339, such as 2026-01-31T12:00:00Z.");
            }
        }

        var deleting = meta.Find("deletionTimestamp") is not null;
        meta.Ignore("uid", "resourceVersion", "generation", "generateName", "managedFields", "ownerReferences", "finalizers",
            "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink");
        meta.Close();
        return new ObjectMeta(labels, annotations, created) { Deleting = deleting };
    }

    private static void CheckAnnotations(YamlMap meta, ImmutableSortedDictionary<string, string> annotations)
    {
        foreach (var (key, value) in annotations)
        {
            if (key == Sources.Annotations.ServiceAccount && !Names.IsSubdomain(value))
            {
                meta.Problems.RefuseOrNote(meta.Find("annotations")!.Value, $"annotation {key} is '{value}', which is no service account. {Names.SubdomainRule}");
            }
            else if (key == Sources.Annotations.OpaquePorts && !PortRanges.TryParse(value, out _))
            {
                meta.Problems.RefuseOrNote(meta.Find("annotations")!.Value, $"annotation {key} is '{value}'. {PortRanges.Rule}");
            }
            else if (key == Sources.Annotations.DisableTap && value is not ("true" or "false"))
            {
                meta.Problems.RefuseOrNote(meta.Find("annotations")!.Value, $"annotation {key} is '{value}'. Use \"true\" or \"false\", in quotes.");
            }
            else if (key.StartsWith(Sources.Annotations.Domain + "/", StringComparison.Ordinal) && !Sources.Annotations.All.Contains(key))
            {
                meta.Problems.RefuseOrNote(meta.Find("annotations")!.Value,
                    $"annotation '{key}' is unknown.{Suggestion.For(key, Sources.Annotations.All)} Known are {string.Join(", ", Sources.Annotations.All)}.");
            }
        }
    }
}
