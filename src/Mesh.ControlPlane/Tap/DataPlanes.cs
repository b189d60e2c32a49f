using Grpc.Core;
using Mesh.ControlPlane.Model;
using Mesh.Protos.Tap;

namespace Mesh.ControlPlane.Tap;

/// <summary>The data planes that attend at any replica. Thread-safe.</summary>
/// <param name="peers">Null: there are no other replicas.</param>
internal sealed class DataPlanes(TapHub hub, IReplicaPeers? peers, TimeProvider time) : IDataPlanes
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    /// <inheritdoc/>
    public int Count => hub.Count;

    /// <inheritdoc/>
    public void Hurry(TimeSpan lasts)
    {
        if (!hub.HurryHere(lasts))
        {
            return;
        }

        foreach (var other in peers?.Others ?? [])
        {
            if (other.Calls is { } calls)
            {
                using (ExecutionContext.SuppressFlow())
                {
                    // Nobody waits for it: who does not hear it reports as usual.
                    _ = TellAsync(calls, lasts);
                }
            }
        }
    }

    private async Task TellAsync(CallInvoker calls, TimeSpan lasts)
    {
        using var limit = new CancellationTokenSource(Patience, time);
        try
        {
            await new TapReplicas.TapReplicasClient(calls).HurryAllAsync(new Hurry { IntervalMs = (uint)TapHub.HurriedInterval.TotalMilliseconds, LastsMs = (uint)lasts.TotalMilliseconds }, cancellationToken: limit.Token);
        }
        catch (Exception e) when (e is RpcException or InvalidOperationException or OperationCanceledException)
        {
            // That replica is away; queries that ask it say so.
        }
    }
}
