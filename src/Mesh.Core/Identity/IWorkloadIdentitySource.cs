namespace Mesh.Identity;

/// <summary>Holds who this process is, and tells when that changes. Thread-safe.</summary>
internal interface IWorkloadIdentitySource
{
    /// <summary>Null until the first certificate has been issued.</summary>
    WorkloadIdentity? Current { get; }

    /// <summary>Why there is no newer identity; null when the last try worked. For messages to people.</summary>
    string? Problem => null;

    /// <summary>The current identity; waits for the first one.</summary>
    ValueTask<WorkloadIdentity> GetAsync(CancellationToken cancellationToken);

    /// <summary>Calls <paramref name="onChanged"/> with the current identity, if there is one, and with every later one, until disposed. It must not block or throw.</summary>
    /// <remarks>An identity that never changes tells nothing later.</remarks>
    IDisposable Subscribe(Action<WorkloadIdentity> onChanged)
    {
        if (Current is { } current)
        {
            onChanged(current);
        }

        return Nothing.Instance;
    }

    private sealed class Nothing : IDisposable
    {
        public static readonly Nothing Instance = new();

        public void Dispose()
        {
        }
    }
}
