using Mesh.Config;

namespace Mesh.Resilience;

/// <summary>What the operator of a server allows it at most. It narrows what the control plane says and never widens it.</summary>
/// <param name="MaxRequests">In the app at once, over all ports; null is no limit.</param>
/// <param name="MaxQueue">Waiting at once; null leaves the control plane's.</param>
/// <param name="QueueTimeout">Longest wait; null leaves the control plane's.</param>
internal sealed record ServerLimits(int? MaxRequests, int? MaxQueue, TimeSpan? QueueTimeout)
{
    public static ServerLimits None { get; } = new(null, null, null);

    /// <summary>What holds for the whole server by the operator's word alone; null is none. Without a queue unless one was asked for.</summary>
    public ServerConcurrency? Own => MaxRequests is { } most ? new ServerConcurrency(most, MaxQueue ?? 0, QueueTimeout ?? ServerConcurrency.DefaultQueueTimeout) : null;

    /// <summary>The smaller of each number.</summary>
    public ServerConcurrency Narrow(ServerConcurrency given) => new(
        Math.Min(given.MaxRequests, MaxRequests ?? int.MaxValue),
        Math.Min(given.MaxQueue, MaxQueue ?? int.MaxValue),
        QueueTimeout < given.QueueTimeout ? QueueTimeout.Value : given.QueueTimeout);
}
