using System.Buffers.Binary;
using System.Text;

namespace Mesh.Transparent.Interception;

/// <summary>Writes netlink messages one behind the other: headers, attributes, attributes within attributes.</summary>
/// <remarks>linux/netlink.h: header fields are in host order and everything is padded to four bytes; nf_tables' own integers are in network order.</remarks>
internal sealed class NetlinkWriter
{
    private const int HeaderLength = 16;
    private const ushort NestedFlag = 0x8000;
    private byte[] _buffer = new byte[4096];
    private int _length;
    private int _message;

    public ReadOnlySpan<byte> Written => _buffer.AsSpan(0, _length);

    /// <summary>nlmsghdr and the four bytes that every netfilter message has next (nfgenmsg).</summary>
    public void BeginMessage(ushort type, ushort flags, uint sequence, byte family, ushort resource)
    {
        _message = _length;
        var header = Take(HeaderLength + 4);
        BitConverter.TryWriteBytes(header[4..], type);
        BitConverter.TryWriteBytes(header[6..], flags);
        BitConverter.TryWriteBytes(header[8..], sequence);
        header[16] = family;
        BinaryPrimitives.WriteUInt16BigEndian(header[18..], resource);
    }

    public void EndMessage() => BitConverter.TryWriteBytes(_buffer.AsSpan(_message), _length - _message);

    /// <summary>Adds flags to the message written last.</summary>
    public void AddFlags(ushort flags)
    {
        var field = _buffer.AsSpan(_message + 6);
        BitConverter.TryWriteBytes(field, (ushort)(BitConverter.ToUInt16(field) | flags));
    }

    public void Bytes(ushort type, ReadOnlySpan<byte> value)
    {
        var attribute = Take((4 + value.Length + 3) & ~3);
        BitConverter.TryWriteBytes(attribute, (ushort)(4 + value.Length));
        BitConverter.TryWriteBytes(attribute[2..], type);
        value.CopyTo(attribute[4..]);
    }

    public void Number(ushort type, uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        Bytes(type, bytes);
    }

    /// <summary>With the zero at its end.</summary>
    public void Text(ushort type, string value) => Bytes(type, Encoding.ASCII.GetBytes(value + '\0'));

    /// <returns>What <see cref="EndNested"/> is given.</returns>
    public int BeginNested(ushort type)
    {
        var start = _length;
        BitConverter.TryWriteBytes(Take(4)[2..], (ushort)(type | NestedFlag));
        return start;
    }

    public void EndNested(int start) => BitConverter.TryWriteBytes(_buffer.AsSpan(start), checked((ushort)(_length - start)));

    private Span<byte> Take(int count)
    {
        if (_buffer.Length - _length < count)
        {
            Array.Resize(ref _buffer, Math.Max(_buffer.Length * 2, _length + count));
        }

        var taken = _buffer.AsSpan(_length, count);
        _length += count;
        return taken;
    }
}
