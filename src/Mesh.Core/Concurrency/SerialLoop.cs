using System.Threading.Channels;

namespace Mesh.Concurrency;

/// <summary>Runs posted work one item after another: the one owner of some state, without a lock.</summary>
/// <remarks>Thread-safe. Work posted after <see cref="DisposeAsync"/> is dropped. An item that throws goes to the onError callback; the loop goes on.</remarks>
internal sealed class SerialLoop : IAsyncDisposable
{
    private readonly Channel<Func<ValueTask>> _work = Channel.CreateUnbounded<Func<ValueTask>>(new UnboundedChannelOptions { SingleReader = true });
    private readonly Action<Exception> _onError;
    private readonly Task _running;

    public SerialLoop(Action<Exception> onError)
    {
        _onError = onError;
        using (ExecutionContext.SuppressFlow())
        {
            _running = Task.Run(RunAsync);
        }
    }

    /// <summary>Queues work. Returns false when the loop has ended.</summary>
    public bool Post(Func<ValueTask> work) => _work.Writer.TryWrite(work);

    /// <inheritdoc cref="Post(Func{ValueTask})"/>
    public bool Post(Action work) => _work.Writer.TryWrite(() =>
    {
        work();
        return ValueTask.CompletedTask;
    });

    /// <summary>Ends the loop after what is queued has run.</summary>
    public async ValueTask DisposeAsync()
    {
        _work.Writer.TryComplete();
        await _running.ConfigureAwait(false);
    }

    private async Task RunAsync()
    {
        await foreach (var work in _work.Reader.ReadAllAsync().ConfigureAwait(false))
        {
            try
            {
                await work().ConfigureAwait(false);
            }
            catch (Exception e)
            {
                _onError(e);
            }
        }
    }
}
