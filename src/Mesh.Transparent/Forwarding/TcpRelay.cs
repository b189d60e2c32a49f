using System.Buffers;
using Mesh.Telemetry;

namespace Mesh.Transparent.Forwarding;

/// <summary>How a relay ended.</summary>
/// <param name="Sent">Bytes from the first end to the second.</param>
/// <param name="Received">Bytes from the second end to the first.</param>
/// <param name="Error">What broke it; null when both ways ended by themselves.</param>
internal readonly record struct Relayed(long Sent, long Received, Exception? Error);

/// <summary>Carries bytes both ways between two ends, as fast as the slower one takes them; each way ends by itself.</summary>
internal static class TcpRelay
{
    private const int BufferBytes = 32 * 1024;

    /// <summary>Who gives so much at once has more: the buffer is kept. A record of TLS is no larger.</summary>
    private const int Much = 8 * 1024;

    /// <param name="early">What the second end has been asked for already, and the memory that it comes into.</param>
    /// <param name="cancellationToken">Breaks both.</param>
    /// <param name="meter">Told of what went over, the first end being who called; null counts nothing.</param>
    /// <param name="refuses">Looks at the first end's first bytes before they go on; true breaks both.</param>
    public static async Task<Relayed> RunAsync(
        RelayEnd first, RelayEnd second, EarlyRead? early, CancellationToken cancellationToken, ConnectionMeter? meter = null, Func<ReadOnlyMemory<byte>, bool>? refuses = null)
    {
        using var broken = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var sending = CopyAsync(first, second, null, refuses, meter is null ? null : meter.Forth, broken);
        var receiving = CopyAsync(second, first, early, null, meter is null ? null : meter.Back, broken);
        var (sent, received) = (await sending.ConfigureAwait(false), await receiving.ConfigureAwait(false));
        return new Relayed(sent.Bytes, received.Bytes, sent.Error ?? received.Error);
    }

    /// <summary>Never throws: an error breaks both ways.</summary>
    private static async Task<(long Bytes, Exception? Error)> CopyAsync(RelayEnd from, RelayEnd to, EarlyRead? early, Func<ReadOnlyMemory<byte>, bool>? refuses, Action<int>? count, CancellationTokenSource broken)
    {
        var bytes = 0L;
        try
        {
            if (early is not null)
            {
                using (early)
                {
                    var read = await early.Read.WaitAsync(broken.Token).ConfigureAwait(false);
                    await to.Stream.WriteAsync(early.Buffer.AsMemory(0, read), broken.Token).ConfigureAwait(false);
                    bytes += read;
                    count?.Invoke(read);
                    if (read == 0)
                    {
                        await to.FinishAsync().ConfigureAwait(false);
                        return (bytes, null);
                    }
                }
            }

            while (true)
            {
                // Waits without a buffer: thousands of idle connections hold none.
                await from.Stream.ReadAsync(Memory<byte>.Empty, broken.Token).ConfigureAwait(false);
                var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
                try
                {
                    int read;
                    do
                    {
                        read = await from.Stream.ReadAsync(buffer, broken.Token).ConfigureAwait(false);
                        if (read == 0)
                        {
                            await to.FinishAsync().ConfigureAwait(false);
                            return (bytes, null);
                        }

                        if (bytes == 0 && refuses?.Invoke(buffer.AsMemory(0, read)) == true)
                        {
                            throw new RefusedBytesException();
                        }

                        await to.Stream.WriteAsync(buffer.AsMemory(0, read), broken.Token).ConfigureAwait(false);
                        bytes += read;
                        count?.Invoke(read);
                    }
                    while (read >= Much);
                }
                finally
                {
                    ArrayPool<byte>.Shared.Return(buffer);
                }
            }
        }
        catch (Exception e)
        {
            await broken.CancelAsync().ConfigureAwait(false);
            from.Abort();
            to.Abort();
            return (bytes, e);
        }
    }
}

/// <summary>The first bytes may not go on.</summary>
internal sealed class RefusedBytesException() : IOException("The first bytes may not go on.");

/// <summary>A read that was begun before it was known who would want it.</summary>
internal sealed class EarlyRead : IDisposable
{
    public EarlyRead(Stream stream, CancellationToken cancellationToken)
    {
        Buffer = ArrayPool<byte>.Shared.Rent(4096);
        Read = stream.ReadAsync(Buffer, cancellationToken).AsTask();
    }

    public byte[] Buffer { get; }

    public Task<int> Read { get; }

    /// <summary>The read has ended, or its stream is closed.</summary>
    public void Dispose()
    {
        if (Read.IsCompleted)
        {
            // Else the read may still write into it: the pool does without.
            ArrayPool<byte>.Shared.Return(Buffer);
        }
    }
}
