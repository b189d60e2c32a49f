using Mesh.Balancing.Pickers;
using Mesh.Config;

namespace Mesh.Balancing;

/// <summary>Arranges the healthy endpoints of one update by priority and locality. Not thread-safe: lives for one update.</summary>
internal sealed class GroupBuilder(Cluster cluster)
{
    private readonly SortedDictionary<int, List<Member>> _priorities = [];

    /// <summary>Adds a locality; without a healthy endpoint it does not count.</summary>
    public void Add(LocalityEndpoints locality, List<BalancedEndpoint> healthy)
    {
        if (healthy.Count == 0)
        {
            return;
        }

        if (!_priorities.TryGetValue(locality.Priority, out var members))
        {
            _priorities[locality.Priority] = members = [];
        }

        members.Add(new Member(locality, [.. healthy]));
    }

    /// <param name="old">The groups before the update, by position.</param>
    /// <param name="pickers">What the cluster's pickers remember, by locality; ones for a new policy when that has changed.</param>
    public EndpointGroup[] Build(EndpointGroup[] old, Dictionary<(int, Locality), Picker> pickers)
    {
        var groups = new EndpointGroup[_priorities.Count];
        var at = 0;
        foreach (var (priority, members) in _priorities)
        {
            groups[at] = Group(priority, members, at < old.Length ? old[at] : null, pickers);
            at++;
        }

        return groups;
    }

    private EndpointGroup Group(int priority, List<Member> members, EndpointGroup? old, Dictionary<(int, Locality), Picker> pickers)
    {
        BalancedEndpoint[] all = [.. members.SelectMany(m => m.Healthy)];
        return cluster.LoadBalancing switch
        {
            LoadBalancing.RingHash => new RingHashGroup(all, Shares(members), cluster.RingHash),
            LoadBalancing.PickFirst => new PickFirstGroup(all, cluster.ShuffleEndpoints ? Shares(members) : null, old as PickFirstGroup),
            _ when SaysNothing(members) => new FlatGroup(all, Picker(priority, members[0], pickers)),
            _ => new LocalityGroup([.. members.Select(m => (m.Healthy, m.Locality.Weight, Picker(priority, m, pickers)))]),
        };
    }

    private Picker Picker(int priority, Member member, Dictionary<(int, Locality), Picker> pickers)
    {
        var key = (priority, member.Locality.Locality);
        if (!pickers.TryGetValue(key, out var picker))
        {
            pickers[key] = picker = Pickers.Picker.For(cluster.LoadBalancing);
        }

        return picker;
    }

    /// <summary>Weights in proportion to what stands there lead to an even spread: then choosing among all of them does it better.</summary>
    private static bool SaysNothing(List<Member> members)
    {
        var first = members[0].Locality;
        var size = Size(first);
        return members.TrueForAll(m => m.Locality.Weight * (double)size == first.Weight * (double)Size(m.Locality));
    }

    private static long Size(LocalityEndpoints locality) => locality.Endpoints.Sum(e => (long)e.Weight);

    /// <summary>What each endpoint is due of the priority's calls: its locality's share times its own share of that (gRFC A113).</summary>
    private static double[] Shares(List<Member> members)
    {
        var total = members.Sum(m => (double)m.Locality.Weight);
        return [.. members.SelectMany(m =>
        {
            var sum = m.Healthy.Sum(e => (double)e.Config.Weight);
            return m.Healthy.Select(e => m.Locality.Weight / total * (e.Config.Weight / sum));
        })];
    }

    private sealed record Member(LocalityEndpoints Locality, BalancedEndpoint[] Healthy);
}
