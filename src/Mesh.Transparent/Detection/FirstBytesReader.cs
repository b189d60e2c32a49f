using System.Buffers;
using Mesh.Server.Listening;

namespace Mesh.Transparent.Detection;

/// <summary>Tells the protocol of a connection by its first bytes (contracts §4). Pure.</summary>
internal static class FirstBytesReader
{
    /// <summary>The longest request line looked at: Kestrel's limit, which it answers 414 to.</summary>
    public const int LongestRequestLine = 8 * 1024;

    // RFC 9110 §5.6.2, token: a method.
    private static readonly SearchValues<byte> _token = SearchValues.Create("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"u8);

    private static ReadOnlySpan<byte> Preface => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8;

    /// <summary>Longer methods are nobody's.</summary>
    private const int LongestMethod = 32;

    /// <returns><see cref="WireProtocol.Unknown"/> when more bytes are needed.</returns>
    public static Detected Read(ReadOnlyMemory<byte> bytes)
    {
        if (bytes.IsEmpty)
        {
            return new(WireProtocol.Unknown);
        }

        var span = bytes.Span;
        switch (ClientHello.Read(new ReadOnlySequence<byte>(bytes), out var serverName))
        {
            case FirstBytes.MeshTls:
                return new(WireProtocol.MeshTls, serverName);
            case FirstBytes.Tls:
                return new(WireProtocol.Tls, serverName);
            case FirstBytes.Incomplete:
                return new(WireProtocol.Unknown);
        }

        var common = Math.Min(span.Length, Preface.Length);
        if (span[..common].SequenceEqual(Preface[..common]))
        {
            // A request line may begin as the preface does no longer than this.
            return new(common == Preface.Length ? WireProtocol.Http2 : WireProtocol.Unknown);
        }

        return new(RequestLine(span));
    }

    /// <summary>A request line is whole, or could still become one: words such as <c>SET</c> or <c>HELO</c> begin other protocols' lines too.</summary>
    private static WireProtocol RequestLine(ReadOnlySpan<byte> bytes)
    {
        // Servers skip empty lines before a request line (RFC 9112 §2.2).
        while (bytes is [(byte)'\r' or (byte)'\n', ..])
        {
            bytes = bytes[1..];
        }

        var method = bytes.IndexOfAnyExcept(_token);
        if (method < 0)
        {
            return bytes.Length > LongestMethod ? WireProtocol.Opaque : WireProtocol.Unknown;
        }

        if (method is 0 or > LongestMethod || bytes[method] != (byte)' ')
        {
            return WireProtocol.Opaque;
        }

        var end = bytes.IndexOf((byte)'\n');
        if (end < 0)
        {
            // A target has no control characters; what has some is another protocol, and nobody waits for the end of its line.
            return bytes[method..].IndexOfAnyInRange((byte)0, (byte)0x1f) is var control && control >= 0 && bytes[method + control] != (byte)'\r' ? WireProtocol.Opaque
                : bytes.Length >= LongestRequestLine ? WireProtocol.Http1
                : WireProtocol.Unknown;
        }

        var line = bytes[..end].TrimEnd((byte)'\r');
        var version = line.LastIndexOf((byte)' ');
        if (version <= method || !line[(version + 1)..].StartsWith("HTTP/1."u8))
        {
            return WireProtocol.Opaque;
        }

        // A tunnel's bytes are not ours after the first request, and the server that makes it is the one that was dialled.
        return bytes[..method].SequenceEqual("CONNECT"u8) ? WireProtocol.Opaque : WireProtocol.Http1;
    }
}
