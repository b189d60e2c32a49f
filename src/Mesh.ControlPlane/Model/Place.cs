namespace Mesh.ControlPlane.Model;

/// <summary>Where something runs; what is not known is empty.</summary>
/// <param name="Node">Of the Kubernetes cluster.</param>
internal sealed record Place(string Region, string Zone, string Node)
{
    public static readonly Place Unknown = new(string.Empty, string.Empty, string.Empty);
}

/// <summary>Which endpoints of a Service are asked first (Service, <c>trafficDistribution</c>).</summary>
internal enum TrafficDistribution
{
    /// <summary>All are alike.</summary>
    None,

    /// <summary><c>PreferSameZone</c>, and <c>PreferClose</c>, its older name.</summary>
    SameZone,

    /// <summary><c>PreferSameNode</c>.</summary>
    SameNode,
}
