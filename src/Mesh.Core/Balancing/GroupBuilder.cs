using Mesh.Balancing.Pickers;
using Mesh.Config;

namespace Mesh.Balancing;

/// <summary>Arranges the endpoints of one update by priority, distance and locality. Not thread-safe: lives for one update.</summary>
/// <param name="own">Where the caller stands; null is unknown, then nothing is near.</param>
/// <param name="watch">Told of weights by load reports; null: nobody is.</param>
internal sealed class GroupBuilder(Cluster cluster, Locality? own, TimeProvider time, IWeightWatch? watch = null)
{
    private readonly SortedDictionary<int, List<Listed>> _priorities = [];

    /// <summary>Adds a locality with those of its endpoints that the control plane lets us use.</summary>
    public void Add(LocalityEndpoints locality, List<BalancedEndpoint> listed)
    {
        var all = locality.Endpoints.Count(e => !e.Draining);
        if (all == 0)
        {
            return;
        }

        if (!_priorities.TryGetValue(locality.Priority, out var members))
        {
            _priorities[locality.Priority] = members = [];
        }

        members.Add(new Listed(locality, [.. listed], all));
    }

    /// <param name="old">The priorities before the update, by position.</param>
    /// <param name="pickers">What the cluster's pickers remember, by locality; empty when the policy has changed. Those that are gone are dropped.</param>
    public PriorityEndpoints[] Build(PriorityEndpoints[] old, Dictionary<(int, Locality), Picker> pickers)
    {
        var used = new Dictionary<(int, Locality), Picker>();
        var priorities = new PriorityEndpoints[_priorities.Count];
        var at = 0;
        foreach (var (priority, members) in _priorities)
        {
            priorities[at] = new PriorityEndpoints(Parts(priority, members, pickers, used), Whole(members, at < old.Length ? old[at].Whole : null));
            at++;
        }

        pickers.Clear();
        foreach (var (key, picker) in used)
        {
            pickers[key] = picker;
        }

        return priorities;
    }

    private EndpointGroup? Whole(List<Listed> members, EndpointGroup? old)
    {
        members = [.. members.Where(m => m.Endpoints.Length > 0)];
        BalancedEndpoint[] all = [.. members.SelectMany(m => m.Endpoints)];
        return cluster.LoadBalancing switch
        {
            LoadBalancing.RingHash when all.Length > 0 => new RingHashGroup(all, Shares(members), cluster.RingHash),
            LoadBalancing.PickFirst when all.Length > 0 => new PickFirstGroup(all, cluster.ShuffleEndpoints ? Shares(members) : null, old as PickFirstGroup),
            _ => null,
        };
    }

    private PartEndpoints[] Parts(int priority, List<Listed> members, Dictionary<(int, Locality), Picker> known, Dictionary<(int, Locality), Picker> used) =>
        [.. members.GroupBy(m => Distance(m.Locality.Locality)).OrderBy(g => g.Key).Select(part => Part(priority, [.. part], known, used))];

    private PartEndpoints Part(int priority, List<Listed> members, Dictionary<(int, Locality), Picker> known, Dictionary<(int, Locality), Picker> used)
    {
        var inside = members.Select(m => new PartEndpoints.Member(m.Endpoints, m.All, m.Locality.Weight, Picker(m))).ToArray();
        return new PartEndpoints(inside, SaysNothing(members) ? inside[0].Picker : null);

        Picker Picker(Listed member)
        {
            var key = (priority, member.Locality.Locality);
            return used[key] = known.TryGetValue(key, out var picker) ? picker : Pickers.Picker.For(cluster, time, watch);
        }
    }

    /// <summary>0 is the caller's own zone, 1 its region, 2 elsewhere. A region that one side does not know does not keep zones of one name apart.</summary>
    private int Distance(Locality locality)
    {
        if (!cluster.PreferNear || own is null)
        {
            return 0;
        }

        var sameRegion = own.Region == locality.Region;
        if (own.Zone.Length > 0 && own.Zone == locality.Zone && (sameRegion || own.Region.Length == 0 || locality.Region.Length == 0))
        {
            return 0;
        }

        return sameRegion && own.Region.Length > 0 ? 1 : 2;
    }

    /// <summary>Weights in proportion to what stands there lead to an even spread: then choosing among all of them does it better.</summary>
    private static bool SaysNothing(List<Listed> members)
    {
        var first = members[0].Locality;
        var size = Size(first);
        return members.TrueForAll(m => m.Locality.Weight * (double)size == first.Weight * (double)Size(m.Locality));
    }

    private static long Size(LocalityEndpoints locality) => locality.Endpoints.Sum(e => (long)e.Weight);

    /// <summary>What each endpoint is due of the priority's calls: its locality's share times its own share of that (gRFC A113).</summary>
    private static double[] Shares(List<Listed> members)
    {
        var total = members.Sum(m => (double)m.Locality.Weight);
        return [.. members.SelectMany(m =>
        {
            var sum = m.Endpoints.Sum(e => (double)e.Config.Weight);
            return m.Endpoints.Select(e => m.Locality.Weight / total * (e.Config.Weight / sum));
        })];
    }

    private sealed record Listed(LocalityEndpoints Locality, BalancedEndpoint[] Endpoints, int All);
}
