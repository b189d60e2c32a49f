namespace Mesh.Balancing;

/// <summary>What one pick is for, and whom it avoids.</summary>
/// <param name="random">Chance.</param>
/// <param name="hash">Of the call; only ring hash looks at it.</param>
/// <param name="now">Timestamp.</param>
/// <param name="tried">Not to be picked.</param>
/// <param name="skipOut">Endpoints that sit out are not to be picked.</param>
internal readonly ref struct PickRequest(Random random, ulong hash, long now, TriedEndpoints tried, bool skipOut)
{
    private readonly TriedEndpoints _tried = tried;

    public Random Random => random;

    public ulong Hash => hash;

    public long Now => now;

    public TriedEndpoints Tried => _tried;

    public bool SkipOut => skipOut;

    /// <summary>True when some endpoints may not be picked.</summary>
    public bool Filters => skipOut || !_tried.IsEmpty;

    public bool Takes(BalancedEndpoint endpoint) => !_tried.Contains(endpoint) && !(skipOut && !endpoint.IsUsable(now));

    public Candidates Among(BalancedEndpoint[] endpoints) => Filters ? new(endpoints, now, _tried, skipOut) : new(endpoints, now);
}
