using System.Net.Sockets;
using System.Text;

namespace Mesh.Transparent.Tests;

/// <summary>A socket on which a test writes bytes and reads until what it waits for is there.</summary>
internal sealed class RawHttp(Socket socket) : IDisposable
{
    private readonly StringBuilder _read = new();

    public Socket Socket => socket;

    public string Read => _read.ToString();

    public async Task SendAsync(string text, CancellationToken cancellationToken)
    {
        var bytes = Encoding.Latin1.GetBytes(text);
        for (var sent = 0; sent < bytes.Length;)
        {
            sent += await socket.SendAsync(bytes.AsMemory(sent), cancellationToken);
        }
    }

    /// <summary>Reads until the text is there; what was read when the peer closed, without it.</summary>
    public async Task<string> ReadUntilAsync(string text, CancellationToken cancellationToken)
    {
        var buffer = new byte[4096];
        while (!Read.Contains(text, StringComparison.Ordinal))
        {
            var length = await socket.ReceiveAsync(buffer, cancellationToken);
            if (length == 0)
            {
                break;
            }

            _read.Append(Encoding.Latin1.GetString(buffer, 0, length));
        }

        return Read;
    }

    /// <summary>Reads until the peer closes.</summary>
    public Task<string> ReadToEndAsync(CancellationToken cancellationToken) => ReadUntilAsync("\0never", cancellationToken);

    public void Clear() => _read.Clear();

    public void Dispose() => socket.Dispose();
}
