namespace Mesh.Balancing;

/// <summary>What one pick is for, and whom it avoids.</summary>
/// <param name="random">Chance.</param>
/// <param name="hash">Of the call; only ring hash looks at it.</param>
/// <param name="now">Timestamp.</param>
/// <param name="tried">Not to be picked.</param>
/// <param name="leftOut">Looked at by groups that hold everybody, such as a ring; the others were built without them.</param>
internal readonly ref struct PickRequest(Random random, ulong hash, long now, TriedEndpoints tried, LeftOut leftOut)
{
    private readonly TriedEndpoints _tried = tried;

    public Random Random => random;

    public ulong Hash => hash;

    public long Now => now;

    public TriedEndpoints Tried => _tried;

    public bool HasTried => !_tried.IsEmpty;

    public PickRequest With(LeftOut other) => new(random, hash, now, _tried, other);

    public PickRequest WithoutTried() => new(random, hash, now, default, leftOut);

    /// <summary>For groups that hold everybody.</summary>
    public bool Takes(BalancedEndpoint endpoint) => !_tried.Contains(endpoint) && leftOut.Takes(endpoint, now);

    public Candidates Among(BalancedEndpoint[] endpoints) => new(endpoints, now, _tried);
}

/// <summary>Whom a pick leaves out beside those that the control plane declares unhealthy.</summary>
internal enum LeftOut
{
    /// <summary>Nobody: there is no other choice.</summary>
    Nobody,

    /// <summary>Who asked for less calls. Health does not count (panic).</summary>
    Overloaded,

    /// <summary>Who is not healthy. Nobody is usable: those that asked for less calls are the best there is.</summary>
    Unhealthy,

    /// <summary>Who is not usable.</summary>
    Unusable,
}

internal static class LeftOutEndpoints
{
    public static bool Takes(this LeftOut leftOut, BalancedEndpoint endpoint, long now) => leftOut switch
    {
        LeftOut.Unusable => endpoint.IsUsable(now),
        LeftOut.Unhealthy => endpoint.IsHealthy(now),
        LeftOut.Overloaded => !endpoint.IsSteeredAway(now),
        _ => true,
    };

    /// <summary>As the balancer last looked.</summary>
    public static bool Took(this LeftOut leftOut, BalancedEndpoint endpoint) => leftOut switch
    {
        LeftOut.Unusable => endpoint is { SeenHealthy: true, SeenSteeredAway: false },
        LeftOut.Unhealthy => endpoint.SeenHealthy,
        LeftOut.Overloaded => !endpoint.SeenSteeredAway,
        _ => true,
    };
}
