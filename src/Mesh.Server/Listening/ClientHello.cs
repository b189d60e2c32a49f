using System.Buffers;
using System.Buffers.Binary;
using Mesh.Identity;

namespace Mesh.Server.Listening;

/// <summary>What the first bytes of a connection are.</summary>
internal enum FirstBytes
{
    /// <summary>Not decidable yet: more bytes are needed.</summary>
    Incomplete,

    /// <summary>No TLS.</summary>
    Plain,

    /// <summary>TLS without the mesh marker, or a hello that cannot be read.</summary>
    Tls,

    /// <summary>TLS whose ALPN offers the mesh marker.</summary>
    MeshTls,
}

/// <summary>Reads a TLS ClientHello without consuming it (RFC 8446 §4.1.2, §5.1; ALPN: RFC 7301 §3.1).</summary>
/// <remarks>Never throws: whatever is malformed is <see cref="FirstBytes.Tls"/>, and the TLS stack that gets it refuses it.</remarks>
internal static class ClientHello
{
    /// <summary>Largest hello looked into; post-quantum key shares make 1.5 to 4 kB normal.</summary>
    public const int MaxBytes = 16 * 1024;

    private const byte HandshakeRecord = 0x16;
    private const byte HelloMessage = 0x01;
    private const ushort ServerNameExtension = 0;
    private const ushort AlpnExtension = 16;

    public static FirstBytes Read(in ReadOnlySequence<byte> bytes) => Read(bytes, out _);

    /// <param name="serverName">The host asked for (SNI, RFC 6066 §3), in lower case; null when it names none.</param>
    public static FirstBytes Read(in ReadOnlySequence<byte> bytes, out string? serverName)
    {
        serverName = null;
        var reader = new SequenceReader<byte>(bytes);
        if (!reader.TryPeek(0, out var type))
        {
            return FirstBytes.Incomplete;
        }

        if (type != HandshakeRecord)
        {
            return FirstBytes.Plain;
        }

        if (!reader.TryPeek(1, out var major))
        {
            return FirstBytes.Incomplete;
        }

        if (major != 3)
        {
            return FirstBytes.Plain;
        }

        var rented = ArrayPool<byte>.Shared.Rent(MaxBytes);
        try
        {
            return Gather(ref reader, rented.AsSpan(0, MaxBytes), out serverName);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    /// <summary>Puts the message together from its records, then looks into it.</summary>
    private static FirstBytes Gather(ref SequenceReader<byte> reader, Span<byte> message, out string? serverName)
    {
        serverName = null;
        Span<byte> header = stackalloc byte[5];
        var have = 0;
        while (true)
        {
            if (!reader.TryCopyTo(header))
            {
                // A record of another kind in the middle of a hello is an error that shows in its first byte.
                return reader.TryPeek(0, out var next) && next != HandshakeRecord ? FirstBytes.Tls : FirstBytes.Incomplete;
            }

            var length = BinaryPrimitives.ReadUInt16BigEndian(header[3..]);
            if (header[0] != HandshakeRecord || header[1] != 3 || length == 0 || length > MaxBytes)
            {
                return FirstBytes.Tls;
            }

            reader.Advance(5);
            var take = (int)Math.Min(Math.Min(length, reader.Remaining), message.Length - have);
            reader.TryCopyTo(message.Slice(have, take));
            have += take;
            if (have >= 1 && message[0] != HelloMessage)
            {
                return FirstBytes.Tls;
            }

            if (have >= 4)
            {
                var total = 4 + (message[1] << 16 | message[2] << 8 | message[3]);
                if (total > message.Length)
                {
                    return FirstBytes.Tls;
                }

                if (have >= total)
                {
                    return OffersMarker(message[4..total], out serverName) ? FirstBytes.MeshTls : FirstBytes.Tls;
                }
            }

            if (reader.Remaining < length)
            {
                return FirstBytes.Incomplete;
            }

            reader.Advance(length);
        }
    }

    private static bool OffersMarker(ReadOnlySpan<byte> hello, out string? serverName)
    {
        serverName = null;
        // legacy_version, random; then session id, cipher suites, compression methods, extensions.
        if (!TrySkip(ref hello, 2 + 32) || !TryTake(ref hello, 1, out _) || !TryTake(ref hello, 2, out _) || !TryTake(ref hello, 1, out _) || !TryTake(ref hello, 2, out var extensions))
        {
            return false;
        }

        var marked = false;
        while (extensions.Length >= 4)
        {
            var type = BinaryPrimitives.ReadUInt16BigEndian(extensions);
            extensions = extensions[2..];
            if (!TryTake(ref extensions, 2, out var body))
            {
                return marked;
            }

            if (type == ServerNameExtension)
            {
                serverName = ServerName(body);
            }
            else if (type == AlpnExtension)
            {
                marked = HasMarker(body);
            }
        }

        return marked;
    }

    private static bool HasMarker(ReadOnlySpan<byte> extension)
    {
        if (!TryTake(ref extension, 2, out var names))
        {
            return false;
        }

        while (TryTake(ref names, 1, out var name))
        {
            if (name.SequenceEqual(MeshTls.Marker.Protocol.Span))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>The first host name of the list (RFC 6066 §3: there is one at most); null for what is no name in ASCII.</summary>
    private static string? ServerName(ReadOnlySpan<byte> extension) =>
        TryTake(ref extension, 2, out var list) && list.Length > 1 && list[0] == 0 && TrySkip(ref list, 1) && TryTake(ref list, 2, out var host)
        && host.Length is > 0 and <= 255 && !host.ContainsAnyExceptInRange((byte)0x21, (byte)0x7e)
            ? System.Text.Encoding.ASCII.GetString(host).ToLowerInvariant()
            : null;

    private static bool TrySkip(ref ReadOnlySpan<byte> from, int count)
    {
        if (from.Length < count)
        {
            return false;
        }

        from = from[count..];
        return true;
    }

    /// <summary>Takes a vector with a length prefix of 1 or 2 bytes.</summary>
    private static bool TryTake(ref ReadOnlySpan<byte> from, int prefix, out ReadOnlySpan<byte> vector)
    {
        vector = default;
        if (from.Length < prefix)
        {
            return false;
        }

        var length = prefix == 1 ? from[0] : BinaryPrimitives.ReadUInt16BigEndian(from);
        if (from.Length < prefix + length)
        {
            return false;
        }

        vector = from.Slice(prefix, length);
        from = from[(prefix + length)..];
        return true;
    }
}
