using Mesh.Concurrency;

namespace Mesh.Identity;

/// <summary>An identity given in code: tests and benches. It can be replaced, as a renewal would.</summary>
internal sealed class FixedIdentitySource(WorkloadIdentity identity) : IWorkloadIdentitySource
{
    private readonly Published<WorkloadIdentity> _identity = new(identity);

    /// <inheritdoc/>
    public WorkloadIdentity Current => _identity.Current;

    /// <inheritdoc/>
    public ValueTask<WorkloadIdentity> GetAsync(CancellationToken cancellationToken) => new(_identity.Current);

    public void Replace(WorkloadIdentity next) => _identity.Publish(next);
}
