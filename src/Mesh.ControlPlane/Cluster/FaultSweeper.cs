namespace Mesh.ControlPlane.Cluster;

/// <summary>Removes temporary faults that are over.</summary>
internal sealed class FaultSweeper(ClusterFaults faults, LeaderLease lease, TimeProvider time, Random random, ILogger<FaultSweeper> logger) : LeaderLoop(lease, time, random, logger)
{
    protected override string Purpose => "Removing faults that are over";

    protected override TimeSpan Period => TimeSpan.FromSeconds(5);

    protected override async Task DoAsync(CancellationToken cancellationToken)
    {
        foreach (var fault in faults.Over.ToList())
        {
            await faults.DeleteAsync(fault, cancellationToken);
        }
    }
}
