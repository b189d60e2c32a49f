using System.Collections.Immutable;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>What a control plane wrote on a Pod when it saw it serve mesh TLS (contracts §3), so that every replica knows and a restart forgets nothing.</summary>
/// <param name="Transparent">A sidecar serves it, and so every port that is not skipped.</param>
/// <param name="Only">Of a workload that serves by itself: the ports that it was seen to serve; null is all of them.</param>
internal sealed record PodMark(bool Transparent, PortRanges? Only, PortRanges Skipped)
{
    public const string Annotation = Annotations.Domain + "/meshed";
    private const string SkippedPorts = Annotations.Domain + "/skip-inbound-ports";

    public bool Holds(int port) => Only?.Contains(port) ?? !Skipped.Contains(port);

    /// <returns>Null without the annotation: <c>sidecar</c>, <c>library</c>, or <c>library:8080,9090</c>.</returns>
    public static PodMark? Read(ImmutableSortedDictionary<string, string> annotations)
    {
        if (!annotations.TryGetValue(Annotation, out var text))
        {
            return null;
        }

        var skipped = annotations.TryGetValue(SkippedPorts, out var ports) && PortRanges.TryParse(ports, out var ranges) ? ranges : PortRanges.None;
        return text switch
        {
            "sidecar" => new PodMark(true, null, skipped),
            "library" => new PodMark(false, null, PortRanges.None),
            _ when text.StartsWith("library:", StringComparison.Ordinal) && PortRanges.TryParse(text[8..], out var only) => new PodMark(false, only, PortRanges.None),
            _ => null,
        };
    }
}
