using Grpc.Core;
using Mesh.ControlPlane.Model;
using Mesh.Protos.Envoy.Discovery;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Xds;

/// <summary>Configuration for data planes, in both variants of the aggregated discovery service (xDS v3).</summary>
internal sealed class AdsService(AdsParts parts, Stopping stopping) : AggregatedDiscoveryService.AggregatedDiscoveryServiceBase
{
    /// <inheritdoc/>
    public override Task StreamAggregatedResources(
        IAsyncStreamReader<DiscoveryRequest> requestStream, IServerStreamWriter<DiscoveryResponse> responseStream, ServerCallContext context) =>
        RunAsync(new SotwSession(parts, Identity(context), Serial(context), context.Peer), requestStream, responseStream, context);

    /// <inheritdoc/>
    public override Task DeltaAggregatedResources(
        IAsyncStreamReader<DeltaDiscoveryRequest> requestStream, IServerStreamWriter<DeltaDiscoveryResponse> responseStream, ServerCallContext context) =>
        RunAsync(new DeltaSession(parts, Identity(context), Serial(context), context.Peer), requestStream, responseStream, context);

    private static string? Serial(ServerCallContext context) => context.GetHttpContext().Features.Get<PeerFeature>()?.Serial;

    private static SpiffeId? Identity(ServerCallContext context)
    {
        var features = context.GetHttpContext().Features;
        if (features.Get<PortFeature>()?.Kind == PortKind.Ads)
        {
            return null;
        }

        return features.Get<PeerFeature>()?.Id ?? throw new RpcException(new Status(
            StatusCode.Unauthenticated, "ADS on this port needs a client certificate of the mesh. Get one with IstioCertificateService/CreateCertificate and a join token."));
    }

    private async Task RunAsync<TRequest, TResponse>(
        AdsSession<TRequest, TResponse> session, IAsyncStreamReader<TRequest> requests, IServerStreamWriter<TResponse> responses, ServerCallContext context)
    {
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, stopping.Token);
        try
        {
            await session.RunAsync(requests, responses, ends.Token);
        }
        catch (Exception e) when (stopping.Token.IsCancellationRequested && e is OperationCanceledException or RpcException or IOException)
        {
            throw new RpcException(new Status(StatusCode.Unavailable, "The control plane is stopping."));
        }
        catch (Exception e) when (context.CancellationToken.IsCancellationRequested && e is OperationCanceledException or IOException or InvalidOperationException)
        {
            // The client went away: nothing is owed to it.
        }
    }
}
