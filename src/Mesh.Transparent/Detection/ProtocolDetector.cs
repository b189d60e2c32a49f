using System.Buffers;
using System.Net.Sockets;
using Mesh.Server.Listening;

namespace Mesh.Transparent.Detection;

/// <summary>Looks at the first bytes of an accepted socket and leaves them there.</summary>
/// <remarks>
/// The bytes are peeked at in the kernel's buffer, so that what is decided is served by whoever reads the socket first, from its first byte.
/// A first piece that says nothing yet is looked at again after a while: the kernel doesn't tell when a second piece comes to bytes that were left.
/// </remarks>
internal sealed class ProtocolDetector(TimeProvider time)
{
    private const int FirstLook = 4 * 1024;
    private const byte HandshakeRecord = 0x16;

    // The largest hello, with the headers of its records.
    private const int LongestLook = ClientHello.MaxBytes + 1024;
    private static readonly TimeSpan ShortestPause = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(50);

    /// <summary>How long a line that could become a request may stand still: HTTP clients write theirs in one go, and others wait for an answer to theirs.</summary>
    private static readonly TimeSpan LongestStandstill = TimeSpan.FromSeconds(1);

    /// <returns><see cref="WireProtocol.Unknown"/> when <paramref name="cancellationToken"/> ended the wait; <see cref="WireProtocol.Opaque"/> when the client closed before it said enough.</returns>
    /// <exception cref="SocketException">The connection broke.</exception>
    public async ValueTask<Detected> DetectAsync(Socket socket, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(FirstLook);
        try
        {
            var pause = ShortestPause;
            var (before, changed) = (0, 0L);
            while (true)
            {
                var length = await socket.ReceiveAsync(buffer.AsMemory(), SocketFlags.Peek, cancellationToken).ConfigureAwait(false);
                if (length == 0)
                {
                    return new(WireProtocol.Opaque);
                }

                if (length != before)
                {
                    var found = FirstBytesReader.Read(buffer.AsMemory(0, length));
                    if (found.Protocol != WireProtocol.Unknown)
                    {
                        return found;
                    }

                    if (length >= LongestLook)
                    {
                        return new(WireProtocol.Opaque);
                    }

                    if (length == buffer.Length)
                    {
                        ArrayPool<byte>.Shared.Return(buffer);
                        buffer = ArrayPool<byte>.Shared.Rent(LongestLook);
                        continue;
                    }

                    (pause, before, changed) = (ShortestPause, length, time.GetTimestamp());
                }
                else if (buffer[0] != HandshakeRecord && time.GetElapsedTime(changed) > LongestStandstill)
                {
                    return new(WireProtocol.Opaque);
                }

                await Task.Delay(pause, time, cancellationToken).ConfigureAwait(false);
                pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
            }
        }
        catch (OperationCanceledException)
        {
            return new(WireProtocol.Unknown);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
