namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>Whether a newer version of an object says the same, as far as the model is concerned.</summary>
internal static class ManifestEquality
{
    /// <summary>False also where it is not worth the trouble: then a model is made that is as the one before.</summary>
    public static bool Same(Manifest a, Manifest b) => (a, b) switch
    {
        (PodManifest x, PodManifest y) => x.ServiceAccount == y.ServiceAccount && x.Addresses.SequenceEqual(y.Addresses) && x.Ready == y.Ready && x.NodeName == y.NodeName
            && x.Hostname == y.Hostname && x.Subdomain == y.Subdomain && x.Terminating == y.Terminating && x.MarkText == y.MarkText && x.TapDisabled == y.TapDisabled
            && x.Ports.SequenceEqual(y.Ports) && x.Probes.SequenceEqual(y.Probes) && x.Labels.SequenceEqual(y.Labels),
        (NodeManifest x, NodeManifest y) => x.Key == y.Key && x.Region == y.Region && x.Zone == y.Zone,
        (NamespaceManifest x, NamespaceManifest y) => x.Key == y.Key && x.TapDisabled == y.TapDisabled,
        _ => false,
    };
}
