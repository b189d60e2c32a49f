using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>Where the Nodes are.</summary>
internal sealed class NodePlaces(Dictionary<ManifestKey, Manifest> objects)
{
    private readonly Dictionary<string, Place> _places = objects.Values.OfType<NodeManifest>().ToDictionary(n => n.Key.Name, n => new Place(n.Region, n.Zone, n.Key.Name), StringComparer.Ordinal);

    /// <param name="node">Its name; empty is unknown.</param>
    public Place Of(string node) => node.Length == 0 ? Place.Unknown : _places.TryGetValue(node, out var place) ? place : _places[node] = new Place(string.Empty, string.Empty, node);
}
