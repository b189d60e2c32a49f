namespace Mesh.Balancing;

/// <summary>What one pick is for, and whom it avoids.</summary>
/// <param name="random">Chance.</param>
/// <param name="hash">Of the call; only ring hash looks at it.</param>
/// <param name="now">Timestamp.</param>
/// <param name="tried">Not to be picked.</param>
/// <param name="skipEjected">Endpoints that sit out are not to be picked.</param>
internal readonly ref struct PickRequest(Random random, ulong hash, long now, TriedEndpoints tried, bool skipEjected)
{
    private readonly TriedEndpoints _tried = tried;

    public Random Random => random;

    public ulong Hash => hash;

    public long Now => now;

    public TriedEndpoints Tried => _tried;

    public bool SkipEjected => skipEjected;

    /// <summary>True when some endpoints may not be picked.</summary>
    public bool Filters => skipEjected || !_tried.IsEmpty;

    public bool Takes(BalancedEndpoint endpoint) => !_tried.Contains(endpoint) && !(skipEjected && endpoint.IsEjected(now));

    public Candidates Among(BalancedEndpoint[] endpoints) => Filters ? new(endpoints, now, _tried, skipEjected) : new(endpoints, now);
}
