using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Translation;

/// <summary>How far endpoints are from a caller, in steps that become priorities: the next one is asked as far as those before it can't carry the calls.</summary>
internal static class Distances
{
    /// <returns>Null where all are alike.</returns>
    public static Func<ServiceEndpoint, int>? Of(TrafficDistribution distribution, Place caller) => distribution switch
    {
        TrafficDistribution.None => null,
        _ when caller.Zone.Length == 0 && caller.Node.Length == 0 => null,
        _ => endpoint => distribution == TrafficDistribution.SameNode && caller.Node.Length > 0 && endpoint.NodeName == caller.Node ? 0
            : caller.Zone.Length > 0 && endpoint.Zone == caller.Zone && IsSame(endpoint.Region, caller.Region) ? 1
            : caller.Region.Length > 0 && endpoint.Region == caller.Region ? 2
            : 3,
    };

    /// <summary>A region that one side does not know does not keep zones of one name apart.</summary>
    private static bool IsSame(string a, string b) => a.Length == 0 || b.Length == 0 || a == b;
}
