using System.Net.Sockets;
using Mesh.Testing.Namespaces;

namespace Mesh.Pods.Tests;

/// <summary>All frames that cross a namespace's interfaces, from its start to its end.</summary>
internal sealed class Capture : IAsyncDisposable
{
    // ETH_P_ALL of packet(7), in network byte order.
    private const int AllProtocols = 0x0300;
    private readonly Socket _socket;
    private readonly MemoryStream _frames = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _reading;
    private int _handshakes;
    private int _records;

    public Capture(NetworkNamespace node)
    {
        _socket = node.Inside(null, () => new Socket(AddressFamily.Packet, SocketType.Raw, (ProtocolType)AllProtocols) { ReceiveBufferSize = 16 * 1024 * 1024 });
        _reading = Task.Run(ReadAsync);
    }

    /// <summary>TLS handshake records at the beginning of a segment (RFC 8446 §5.1).</summary>
    public int Handshakes => Volatile.Read(ref _handshakes);

    /// <summary>TLS records of application data at the beginning of a segment.</summary>
    public int Records => Volatile.Read(ref _records);

    public bool Holds(string text)
    {
        lock (_frames)
        {
            return _frames.GetBuffer().AsSpan(0, (int)_frames.Length).IndexOf(System.Text.Encoding.ASCII.GetBytes(text)) >= 0;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _reading;
        _socket.Dispose();
        _stop.Dispose();
    }

    private async Task ReadAsync()
    {
        var buffer = new byte[128 * 1024];
        try
        {
            while (true)
            {
                var read = await _socket.ReceiveAsync(buffer, SocketFlags.None, _stop.Token);
                Keep(buffer.AsSpan(0, read));
            }
        }
        catch (OperationCanceledException)
        {
            // It has seen enough.
        }
    }

    private void Keep(ReadOnlySpan<byte> frame)
    {
        lock (_frames)
        {
            _frames.Write(frame);
        }

        switch (Payload(frame))
        {
            case [22, 3, _, ..]:
                Interlocked.Increment(ref _handshakes);
                break;
            case [23, 3, 3, ..]:
                Interlocked.Increment(ref _records);
                break;
            default:
                break;
        }
    }

    /// <summary>Of a TCP segment in IPv4 or IPv6 in Ethernet; else nothing.</summary>
    private static ReadOnlySpan<byte> Payload(ReadOnlySpan<byte> frame)
    {
        if (frame.Length < 54)
        {
            return [];
        }

        var tcp = (frame[12], frame[13]) switch
        {
            (0x08, 0x00) when frame[23] == 6 => 14 + ((frame[14] & 15) * 4),
            (0x86, 0xdd) when frame[20] == 6 => 54,
            _ => frame.Length,
        };
        return tcp + 20 > frame.Length || tcp + ((frame[tcp + 12] >> 4) * 4) is var start && start > frame.Length ? [] : frame[start..];
    }
}
