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
}
