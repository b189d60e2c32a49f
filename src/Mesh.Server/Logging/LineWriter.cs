using System.Threading.Channels;

namespace Mesh.Server.Logging;

/// <summary>Writes lines to a stream from one loop, so that no call waits for whoever reads it. What does not fit is dropped, and that is said in the stream.</summary>
/// <remarks>Thread-safe. Bounded in bytes. A stream that is broken takes nothing any more: lines are then counted as dropped.</remarks>
internal sealed class LineWriter : IAsyncDisposable
{
    /// <summary>Most bytes that wait.</summary>
    public const int MaxWaitingBytes = 1 << 20;

    private static readonly TimeSpan LongestFlush = TimeSpan.FromSeconds(2);
    private readonly Channel<byte[]> _lines = Channel.CreateUnbounded<byte[]>(new UnboundedChannelOptions { SingleReader = true });
    private readonly Stream _stream;
    private readonly Func<long, byte[]> _saysDropped;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _running;
    private int _waitingBytes;
    private long _dropped;
    private int _disposed;

    public LineWriter(Stream stream, Func<long, byte[]> saysDropped, TimeProvider time)
    {
        (_stream, _saysDropped, _time) = (stream, saysDropped, time);
        using (ExecutionContext.SuppressFlow())
        {
            _running = Task.Run(RunAsync);
        }
    }

    /// <summary>Since the start.</summary>
    public long Dropped => Interlocked.Read(ref _dropped);

    /// <param name="line">With its line feed; not to be changed any more.</param>
    public void Write(byte[] line)
    {
        if (Interlocked.Add(ref _waitingBytes, line.Length) > MaxWaitingBytes || !_lines.Writer.TryWrite(line))
        {
            Interlocked.Add(ref _waitingBytes, -line.Length);
            Interlocked.Increment(ref _dropped);
        }
    }

    /// <summary>Writes what waits, for at most two seconds. The stream stays open.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        _lines.Writer.TryComplete();
        try
        {
            await _running.WaitAsync(LongestFlush, _time).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // Nobody reads: a pipe whose reader stands still never ends a write. The process does.
            await _stop.CancelAsync().ConfigureAwait(false);
            return;
        }

        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        long said = 0;
        var broken = false;
        await foreach (var line in _lines.Reader.ReadAllAsync().ConfigureAwait(false))
        {
            broken = broken || !await TryWriteAsync(line).ConfigureAwait(false);
            if (broken)
            {
                Interlocked.Increment(ref _dropped);
            }

            Interlocked.Add(ref _waitingBytes, -line.Length);
        }

        if (!broken)
        {
            await TryWriteAsync([]).ConfigureAwait(false);
        }

        async Task<bool> TryWriteAsync(byte[] line)
        {
            try
            {
                if (Dropped is var dropped && dropped > said)
                {
                    await _stream.WriteAsync(_saysDropped(dropped - said), _stop.Token).ConfigureAwait(false);
                    said = dropped;
                }

                await _stream.WriteAsync(line, _stop.Token).ConfigureAwait(false);
                if (!_lines.Reader.TryPeek(out _))
                {
                    await _stream.FlushAsync(_stop.Token).ConfigureAwait(false);
                }

                return true;
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException)
            {
                // This is where such things are said: there is nowhere else to say it.
                return false;
            }
        }
    }
}
