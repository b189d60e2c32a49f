namespace Shop.Story;

/// <summary>What the story's numbers must show; pure, so that they are tested without a shop.</summary>
internal static class Checks
{
    /// <summary>The part of all requests that one address got, 0–1.</summary>
    public static double ShareOf(IReadOnlyList<EndpointCount> counts, string address)
    {
        var all = counts.Sum(count => count.Requests);
        return all == 0 ? 0 : (double)counts.Where(count => count.Address == address).Sum(count => count.Requests) / all;
    }

    public static (double Share, long All) PricingV2Share(IReadOnlyList<EndpointCount> counts)
    {
        var v2 = counts.Where(count => count.Service == "pricing-v2").Sum(count => count.Requests);
        var all = v2 + counts.Where(count => count.Service == "pricing-v1").Sum(count => count.Requests);
        return (all == 0 ? 0 : (double)v2 / all, all);
    }

    /// <summary>How often each workload got a certificate, by its node.</summary>
    public static IReadOnlyDictionary<string, int> Renewals(IReadOnlyList<MeshClient> clients, IReadOnlyList<IssuedIdentity> issued) =>
        clients.ToDictionary(client => client.Id, client => issued.Count(identity => identity.Node == client.Id));
}
