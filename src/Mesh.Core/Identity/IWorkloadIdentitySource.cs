namespace Mesh.Identity;

/// <summary>Holds who this process is, and tells when that changes. Thread-safe.</summary>
internal interface IWorkloadIdentitySource
{
    /// <summary>Null until the first certificate has been issued.</summary>
    WorkloadIdentity? Current { get; }

    /// <summary>The current identity; waits for the first one.</summary>
    ValueTask<WorkloadIdentity> GetAsync(CancellationToken cancellationToken);
}
