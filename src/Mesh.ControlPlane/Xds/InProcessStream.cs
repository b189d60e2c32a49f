using System.Threading.Channels;
using Grpc.Core;

namespace Mesh.ControlPlane.Xds;

/// <summary>A stream without a network: the client's end is a gRPC call, the server's end a session of its own task.</summary>
/// <remarks>Messages are handed over, not copied: neither side changes one after it was written. Each direction holds few, so that a slow reader stops the writer as flow control would.</remarks>
internal sealed class InProcessStream<TRequest, TResponse>
    where TRequest : class
    where TResponse : class
{
    private const int MaxWaiting = 4;
    private readonly Channel<TRequest> _requests = Channel.CreateBounded<TRequest>(MaxWaiting);
    private readonly Channel<TResponse> _responses = Channel.CreateBounded<TResponse>(MaxWaiting);

    // Not disposed: who ends last, client or session, is not known, and without a timer it holds nothing.
    private readonly CancellationTokenSource _ends;
    private readonly CancellationToken _stopping;
    private Status _status = Status.DefaultSuccess;

    private InProcessStream(CancellationToken stopping, CancellationToken cancellationToken) =>
        (_stopping, _ends) = (stopping, CancellationTokenSource.CreateLinkedTokenSource(stopping, cancellationToken));

    /// <param name="serve">The server's end: runs until the stream ends.</param>
    /// <param name="stopping">The control plane stops: the stream ends as UNAVAILABLE.</param>
    public static AsyncDuplexStreamingCall<TRequest, TResponse> Open(
        Func<IAsyncStreamReader<TRequest>, IServerStreamWriter<TResponse>, CancellationToken, Task> serve, CancellationToken stopping, CancellationToken cancellationToken)
    {
        var stream = new InProcessStream<TRequest, TResponse>(stopping, cancellationToken);
        using (ExecutionContext.SuppressFlow())
        {
            // Its end, good or bad, is what the client reads: that is where it is awaited.
            _ = Task.Run(() => stream.RunAsync(serve), CancellationToken.None);
        }

        return new AsyncDuplexStreamingCall<TRequest, TResponse>(
            new Writer<TRequest>(stream._requests.Writer), new Reader<TResponse>(stream._responses.Reader),
            Task.FromResult(new Metadata()), () => stream._status, () => [], stream._ends.Cancel);
    }

    private async Task RunAsync(Func<IAsyncStreamReader<TRequest>, IServerStreamWriter<TResponse>, CancellationToken, Task> serve)
    {
        RpcException? problem = null;
        try
        {
            await serve(new Reader<TRequest>(_requests.Reader), new Writer<TResponse>(_responses.Writer), _ends.Token);
        }
        catch (Exception e)
        {
            problem = _stopping.IsCancellationRequested ? new RpcException(new Status(StatusCode.Unavailable, "The control plane is stopping."))
                : _ends.IsCancellationRequested ? new RpcException(Status.DefaultCancelled)
                : e as RpcException ?? new RpcException(new Status(StatusCode.Internal, e.Message, e));
            _status = problem.Status;
        }

        _responses.Writer.TryComplete(problem);
        _requests.Writer.TryComplete();
    }

    private sealed class Reader<T>(ChannelReader<T> from) : IAsyncStreamReader<T>
        where T : class
    {
        private T? _current;

        public T Current => _current ?? throw new InvalidOperationException("Nothing was read yet.");

        public async Task<bool> MoveNext(CancellationToken cancellationToken) =>
            await from.WaitToReadAsync(cancellationToken) && from.TryRead(out _current);
    }

    private sealed class Writer<T>(ChannelWriter<T> to) : IClientStreamWriter<T>, IServerStreamWriter<T>
    {
        public WriteOptions? WriteOptions { get; set; }

        public Task WriteAsync(T message) => to.WriteAsync(message).AsTask();

        public Task WriteAsync(T message, CancellationToken cancellationToken) => to.WriteAsync(message, cancellationToken).AsTask();

        public Task CompleteAsync()
        {
            to.TryComplete();
            return Task.CompletedTask;
        }
    }
}
