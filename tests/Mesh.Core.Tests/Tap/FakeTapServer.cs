using System.Threading.Channels;
using Grpc.Core;
using Mesh.Protos.Tap;

namespace Mesh.Core.Tests.Tap;

/// <summary>The control plane's end of the stream, held by the test.</summary>
internal sealed class FakeTapServer : CallInvoker
{
    private int _opened;

    /// <summary>How often it was called.</summary>
    public int Opened => Volatile.Read(ref _opened);

    /// <summary>Every stream ends so; null: it stays.</summary>
    public Status? Refusal { get; set; }

    public Channel<TapReport> Reports { get; } = Channel.CreateUnbounded<TapReport>();

    public Channel<TapOrder> Orders { get; private set; } = Channel.CreateUnbounded<TapOrder>();

    /// <summary>Breaks the stream off.</summary>
    public void Break()
    {
        var orders = Orders;
        Orders = Channel.CreateUnbounded<TapOrder>();
        orders.Writer.Complete(new RpcException(new Status(StatusCode.Unavailable, "gone")));
    }

    public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options)
    {
        Interlocked.Increment(ref _opened);
        var orders = Orders;
        if (Refusal is { } refusal)
        {
            orders = Channel.CreateUnbounded<TapOrder>();
            orders.Writer.Complete(new RpcException(refusal));
        }

        return new AsyncDuplexStreamingCall<TRequest, TResponse>(
            (IClientStreamWriter<TRequest>)(object)new Writer(Reports.Writer), (IAsyncStreamReader<TResponse>)(object)new Reader(orders.Reader), Task.FromResult(new Metadata()), () => Status.DefaultSuccess, () => [], () => { });
    }

    public override TResponse BlockingUnaryCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) => throw new NotSupportedException();

    public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) => throw new NotSupportedException();

    public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) => throw new NotSupportedException();

    public override AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options) => throw new NotSupportedException();

    private sealed class Writer(ChannelWriter<TapReport> to) : IClientStreamWriter<TapReport>
    {
        public WriteOptions? WriteOptions { get; set; }

        public Task WriteAsync(TapReport message) => to.WriteAsync(message).AsTask();

        public Task WriteAsync(TapReport message, CancellationToken cancellationToken) => to.WriteAsync(message, cancellationToken).AsTask();

        public Task CompleteAsync() => Task.CompletedTask;
    }

    private sealed class Reader(ChannelReader<TapOrder> from) : IAsyncStreamReader<TapOrder>
    {
        private TapOrder? _current;

        public TapOrder Current => _current!;

        public async Task<bool> MoveNext(CancellationToken cancellationToken) => await from.WaitToReadAsync(cancellationToken) && from.TryRead(out _current);
    }
}
