using Grpc.Core;
using Mesh.ControlPlane.Model;
using Mesh.Protos.Tap;

namespace Mesh.ControlPlane.Tap;

/// <summary>Where data planes attend (mesh.tap.v1). Who they are is what their certificate says.</summary>
internal sealed class TapService(TapHub hub, Stopping stopping) : Protos.Tap.TapService.TapServiceBase
{
    /// <inheritdoc/>
    public override async Task Attend(IAsyncStreamReader<TapReport> requestStream, IServerStreamWriter<TapOrder> responseStream, ServerCallContext context)
    {
        var identity = context.GetHttpContext().Features.Get<PeerFeature>()?.Id
            ?? throw new RpcException(new Status(StatusCode.Unauthenticated, "Attending needs a client certificate of the mesh."));
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, stopping.Token);
        try
        {
            await hub.AttendAsync(identity, requestStream, responseStream, ends.Token);
        }
        catch (Exception e) when (stopping.Token.IsCancellationRequested && e is OperationCanceledException or RpcException or IOException)
        {
            throw new RpcException(new Status(StatusCode.Unavailable, "The control plane is stopping."));
        }
        catch (Exception e) when (context.CancellationToken.IsCancellationRequested && e is OperationCanceledException or IOException or InvalidOperationException)
        {
            // The data plane went away: nothing is owed to it.
        }
    }
}
