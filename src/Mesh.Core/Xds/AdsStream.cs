using System.Threading.Channels;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Mesh.Hosting;
using Mesh.Protos.Envoy.Discovery;

namespace Mesh.Xds;

/// <summary>One ADS stream: writes what is queued, in order, and tells when each message is out.</summary>
/// <remarks>Writing has its own task, so that a server that does not read stops neither the reading nor the owner's loop.</remarks>
internal abstract class AdsStream<TRequest, TResponse> : IAdsStream
    where TResponse : class
{
    private readonly AsyncDuplexStreamingCall<TRequest, TResponse> _call;
    private readonly Channel<AdsRequest> _outgoing = Channel.CreateUnbounded<AdsRequest>(new UnboundedChannelOptions { SingleReader = true });
    private readonly Action<AdsRequest> _onSent;
    private readonly Task _writing;

    protected AdsStream(AsyncDuplexStreamingCall<TRequest, TResponse> call, Action<AdsRequest> onSent)
    {
        (_call, _onSent) = (call, onSent);
        _writing = WriteAsync();
    }

    public void Send(AdsRequest request) => _outgoing.Writer.TryWrite(request);

    public async Task<AdsResponse?> ReceiveAsync(CancellationToken cancellationToken) =>
        await _call.ResponseStream.MoveNext(cancellationToken).ConfigureAwait(false) ? Translate(_call.ResponseStream.Current) : null;

    public async ValueTask DisposeAsync()
    {
        _outgoing.Writer.TryComplete();
        _call.Dispose(); // cancels a write that hangs
        await _writing.ConfigureAwait(false);
    }

    protected abstract TRequest Translate(AdsRequest request, bool first);

    protected abstract AdsResponse Translate(TResponse response);

    /// <summary>Takes a resource out of the Any it came in.</summary>
    protected static AdsResource Unwrap(string typeUrl, string? name, string version, Any? any) =>
        any is null ? new(name, version, ByteString.Empty, "has no content")
        : any.TypeUrl != typeUrl ? new(name, version, ByteString.Empty, $"has the type '{any.TypeUrl}', not '{typeUrl}'")
        : new(name, version, any.Value, null);

    protected static IReadOnlyList<AdsResourceError> Translate(IEnumerable<ResourceError> errors) =>
        [.. errors.Select(e => new AdsResourceError(e.ResourceName?.Name ?? string.Empty, e.ErrorDetail?.Code ?? 0, e.ErrorDetail?.Message ?? string.Empty))];

    private async Task WriteAsync()
    {
        var first = true;
        try
        {
            await foreach (var request in _outgoing.Reader.ReadAllAsync().ConfigureAwait(false))
            {
                await _call.RequestStream.WriteAsync(Translate(request, first)).ConfigureAwait(false);
                first = false;
                _onSent(request);
            }
        }
        catch (Exception e) when (e is RpcException or InvalidOperationException or IOException or OperationCanceledException)
        {
            // The stream is broken; reading reports why, with the server's own status.
            _outgoing.Writer.TryComplete();
        }
    }
}

/// <summary>Opens a stream of the wanted variant.</summary>
internal static class AdsStream
{
    /// <param name="onSent">Called when a message has been written to a connected stream, from the writing task.</param>
    public static IAdsStream Open(CallInvoker invoker, AdsVariant variant, XdsNode node, Action<AdsRequest> onSent, CancellationToken cancellationToken)
    {
        var client = new AggregatedDiscoveryService.AggregatedDiscoveryServiceClient(invoker);
        return variant == AdsVariant.Delta
            ? new DeltaAdsStream(client.DeltaAggregatedResources(cancellationToken: cancellationToken), node, onSent)
            : new StateOfTheWorldAdsStream(client.StreamAggregatedResources(cancellationToken: cancellationToken), node, onSent);
    }
}
