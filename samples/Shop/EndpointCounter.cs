namespace Shop;

/// <summary>Adds up what endpoints received over time, also when the control plane loses its memory in between.</summary>
internal sealed class EndpointCounter
{
    private readonly Lock _lock = new();
    private readonly Dictionary<(string Service, string Address), (long Last, long Total)> _counts = [];

    /// <summary>Takes a reading of the control plane's counts.</summary>
    /// <remarks>A count that fell to less than half began again from zero; one that fell a little was restored from a slightly older store.</remarks>
    public void Observe(IEnumerable<EndpointCount> reading)
    {
        lock (_lock)
        {
            foreach (var (service, address, requests) in reading)
            {
                var (last, total) = _counts.GetValueOrDefault((service, address));
                var added = requests >= last ? requests - last : requests < last / 2 ? requests : 0;
                _counts[(service, address)] = (requests, total + added);
            }
        }
    }

    public IReadOnlyList<EndpointCount> Totals()
    {
        lock (_lock)
        {
            return [.. _counts.OrderBy(count => count.Key).Select(count => new EndpointCount(count.Key.Service, count.Key.Address, count.Value.Total))];
        }
    }

    /// <summary>What each endpoint received between two totals.</summary>
    public static IReadOnlyList<EndpointCount> Between(IReadOnlyList<EndpointCount> before, IReadOnlyList<EndpointCount> after) =>
        [.. after.Select(count => count with
        {
            Requests = count.Requests - (before.FirstOrDefault(old => old.Service == count.Service && old.Address == count.Address)?.Requests ?? 0),
        })];
}
