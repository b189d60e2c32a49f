using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources.Manifests;

namespace Mesh.ControlPlane.Sources;

/// <summary>An object whose endpoints are given by a host name: a slice with <c>addressType: FQDN</c>, or a Service of type ExternalName.</summary>
internal sealed record HostNameUse(Manifest Object, string Name)
{
    public static HostNameUse[] Find(IEnumerable<ManifestFile> files) =>
    [
        .. files.SelectMany(f => f.Objects).SelectMany(o => o switch
        {
            EndpointSliceManifest { Fqdn: true } slice => slice.Endpoints.SelectMany(e => e.Addresses).Select(a => new HostNameUse(slice, a)),
            ServiceManifest { ExternalName: { } name } service => [new HostNameUse(service, name)],
            _ => [],
        }),
    ];

    /// <summary>Null while the name has current addresses, or was not asked yet.</summary>
    public SourceProblem? Problem(HostNameTable names) => names.FailureOf(Name) is not { } failure ? null : new SourceProblem(
        Object.Where, $"{Object.Key}: host name '{Name}' cannot be resolved ({failure}). "
            + (names.AddressesOf(Name).IsEmpty ? "It gives no endpoint until then." : "Its last known addresses stay in force.")
            + " Correct the name or its DNS entry.");
}
