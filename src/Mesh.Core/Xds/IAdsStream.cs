namespace Mesh.Xds;

/// <summary>One ADS stream, of either variant: it knows the wire, and no rule of the protocol beyond it.</summary>
internal interface IAdsStream : IAsyncDisposable
{
    /// <summary>Queues a message; messages leave in this order. Never blocks. The node goes along with the first.</summary>
    void Send(AdsRequest request);

    /// <summary>The next message; null when the server ended the stream. One caller at a time.</summary>
    /// <exception cref="Grpc.Core.RpcException">The stream broke.</exception>
    Task<AdsResponse?> ReceiveAsync(CancellationToken cancellationToken);
}
