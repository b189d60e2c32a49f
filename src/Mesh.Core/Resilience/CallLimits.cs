namespace Mesh.Resilience;

/// <summary>What the app itself allows a call at most. It narrows what the route says and never widens it.</summary>
/// <remarks>Compared by value: a client has one, and what is compiled for it is found again.</remarks>
/// <param name="Timeout">Of the whole call; null leaves the route's.</param>
/// <param name="AttemptTimeout">Of one attempt up to its headers; null leaves the route's.</param>
/// <param name="MaxRetries">Attempts beyond the first; null leaves the route's, 0 is none.</param>
internal sealed record CallLimits(TimeSpan? Timeout, TimeSpan? AttemptTimeout, int? MaxRetries)
{
    /// <summary>The name of the client that sets them; only for messages.</summary>
    public string Client { get; init; } = string.Empty;

    /// <summary>No hedging.</summary>
    public bool NoHedging { get; init; }

    /// <summary>Most calls in flight to the called service from this process; null leaves the cluster's.</summary>
    public int? MaxRequests { get; init; }
}
