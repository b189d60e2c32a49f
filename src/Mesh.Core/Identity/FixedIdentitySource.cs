using Mesh.Concurrency;

namespace Mesh.Identity;

/// <summary>An identity given in code: tests and benches. It can be replaced, as a renewal would.</summary>
internal sealed class FixedIdentitySource(WorkloadIdentity identity) : WatchedValue<WorkloadIdentity>(identity), IWorkloadIdentitySource
{
    /// <inheritdoc/>
    WorkloadIdentity? IWorkloadIdentitySource.Current => Current;

    /// <inheritdoc/>
    public ValueTask<WorkloadIdentity> GetAsync(CancellationToken cancellationToken) => new(Current);

    public void Replace(WorkloadIdentity next) => Publish(next);
}
