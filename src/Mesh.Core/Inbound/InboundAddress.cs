namespace Mesh.Inbound;

/// <summary>One bound address and the policy in force there. Thread-safe.</summary>
/// <param name="name">As bound, <c>ip:port</c>: for logs.</param>
internal sealed class InboundAddress(string name)
{
    private readonly TaskCompletionSource<InboundPolicy> _first = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile InboundPolicy? _policy;

    /// <summary>Another policy is in force. Raised by whoever published it, holding no lock.</summary>
    public event Action? Changed;

    public string Name => name;

    /// <summary>Null until the control plane has answered. The last good one stays.</summary>
    public InboundPolicy? Policy => _policy;

    /// <summary>The policy; waits for the first one.</summary>
    public ValueTask<InboundPolicy> GetAsync(CancellationToken cancellationToken) =>
        _policy is { } policy ? new(policy) : new(_first.Task.WaitAsync(cancellationToken));

    public void Publish(InboundPolicy policy)
    {
        _policy = policy;
        _first.TrySetResult(policy);
    }

    /// <summary>After <see cref="Publish"/>, when no lock is held.</summary>
    public void Tell() => Changed?.Invoke();
}
