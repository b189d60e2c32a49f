using Mesh.Balancing.Pickers;

namespace Mesh.Balancing;

/// <summary>The endpoints of one priority as the latest update lists them. Immutable, but for what its pickers remember. Counts and groups are those of the balancer's last look.</summary>
/// <param name="parts">Nearest first; one when distance does not matter.</param>
/// <param name="whole">For policies that hold everybody and skip at the pick (ring hash, pick first); else null.</param>
internal sealed class PriorityEndpoints(PartEndpoints[] parts, EndpointGroup? whole)
{
    public BalancedEndpoint[] Listed { get; } = [.. parts.SelectMany(p => p.Listed)];

    /// <summary>With those that the control plane declares unhealthy.</summary>
    public int All { get; } = parts.Sum(p => p.All);

    public EndpointGroup? Whole => whole;

    public int Count(LeftOut leftOut) => parts.Sum(p => p.Count(leftOut));

    public int CountHealthy() => Listed.Count(e => e.SeenHealthy);

    /// <summary>How one is chosen of those that are in now; at least one is.</summary>
    /// <param name="spilled">Told when load moved a call away from the nearest part.</param>
    /// <param name="leavesNear">True when the nearest part cannot take all.</param>
    public EndpointGroup Group(LeftOut leftOut, int overprovisioningPercent, Action<long> spilled, out bool leavesNear)
    {
        leavesNear = false;
        if (whole is not null)
        {
            return whole;
        }

        var loads = new double[parts.Length];
        LoadShares.Cascade([.. parts.Select(p => new PartHealth(p.Count(leftOut), p.All))], overprovisioningPercent, loads);
        leavesNear = loads[0] < 1;
        var groups = new List<(EndpointGroup Group, double UpTo)>();
        var sum = 0.0;
        for (var i = 0; i < parts.Length; i++)
        {
            if (parts[i].Group(leftOut) is { } group)
            {
                groups.Add((group, sum += loads[i]));
            }
        }

        return groups.Count == 1 ? groups[0].Group : new NearGroup([.. groups], spilled);
    }
}

/// <summary>The localities of one priority that are equally near.</summary>
/// <param name="flat">Chooses among all of them alike; null goes by the localities' weights.</param>
internal sealed class PartEndpoints(PartEndpoints.Member[] members, Picker? flat)
{
    /// <summary>Those that the control plane lets us use.</summary>
    public BalancedEndpoint[] Listed { get; } = [.. members.SelectMany(m => m.Listed)];

    /// <summary>With those that the control plane declares unhealthy; draining ones are leaving and do not count.</summary>
    public int All { get; } = members.Sum(m => m.All);

    public int Count(LeftOut leftOut) => Listed.Count(e => leftOut.Took(e));

    /// <summary>Null when nobody is in. Always new arrays: a picker knows by them that something changed.</summary>
    public EndpointGroup? Group(LeftOut leftOut)
    {
        if (flat is not null)
        {
            BalancedEndpoint[] all = [.. Listed.Where(e => leftOut.Took(e))];
            return all.Length == 0 ? null : new FlatGroup(all, flat);
        }

        var localities = members
            .Select(m => (Endpoints: m.Listed.Where(e => leftOut.Took(e)).ToArray(), m.Weight, m.Picker))
            .Where(l => l.Endpoints.Length > 0)
            .ToArray();
        return localities.Length == 0 ? null : new LocalityGroup(localities);
    }

    /// <param name="All">How many stand there, see <see cref="PartEndpoints.All"/>.</param>
    internal sealed record Member(BalancedEndpoint[] Listed, int All, int Weight, Picker Picker);
}
