using System.Buffers.Binary;

namespace Mesh.Balancing;

/// <summary>Walks the fields of one protobuf message in place (protobuf.dev, "Encoding"), so that a report with each answer costs no object. Stops at broken bytes.</summary>
internal ref struct ProtoFields(ReadOnlySpan<byte> message)
{
    private const int Varint = 0;
    private const int Fixed64 = 1;
    private const int LengthDelimited = 2;
    private const int Fixed32 = 5;
    private ReadOnlySpan<byte> _rest = message;
    private ulong _number;

    /// <summary>Of the current field; 0 before the first.</summary>
    public int Field { get; private set; }

    /// <summary>The bytes were no message.</summary>
    public bool IsBroken { get; private set; }

    public readonly ulong Number => _number;

    /// <summary>Of a 64-bit field.</summary>
    public readonly double Double => BitConverter.UInt64BitsToDouble(_number);

    /// <summary>Of a string, bytes, message or map entry; else empty.</summary>
    public ReadOnlySpan<byte> Bytes { get; private set; }

    public bool Read()
    {
        Bytes = [];
        if (_rest.IsEmpty || IsBroken || !TryReadVarint(out var tag))
        {
            return false;
        }

        Field = (int)(tag >> 3);
        var whole = (tag & 7) switch
        {
            Varint => TryReadVarint(out _number),
            Fixed64 => TryTake(8, out var bytes) && BinaryPrimitives.TryReadUInt64LittleEndian(bytes, out _number),
            LengthDelimited => TryReadVarint(out var length) && length <= int.MaxValue && TryTake((int)length, out _),
            Fixed32 => TryTake(4, out _),
            _ => false,
        };
        IsBroken |= !whole || Field == 0;
        return !IsBroken;
    }

    private bool TryTake(int count, out ReadOnlySpan<byte> bytes)
    {
        if (count > _rest.Length)
        {
            bytes = [];
            return false;
        }

        Bytes = bytes = _rest[..count];
        _rest = _rest[count..];
        return true;
    }

    private bool TryReadVarint(out ulong value)
    {
        value = 0;
        for (var i = 0; i < Math.Min(10, _rest.Length); i++)
        {
            value |= (ulong)(_rest[i] & 0x7f) << (7 * i);
            if (_rest[i] < 0x80)
            {
                _rest = _rest[(i + 1)..];
                return true;
            }
        }

        IsBroken = true;
        return false;
    }
}
