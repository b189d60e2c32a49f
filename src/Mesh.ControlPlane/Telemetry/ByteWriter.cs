namespace Mesh.ControlPlane.Telemetry;

/// <summary>Writes integers that are not negative, seven bits a byte, the lowest first (LEB128).</summary>
internal sealed class ByteWriter
{
    private byte[] _bytes = new byte[256];

    public int Length { get; private set; }

    public ReadOnlySpan<byte> Written => _bytes.AsSpan(0, Length);

    public void Clear() => Length = 0;

    public void Write(long value)
    {
        var left = (ulong)value;
        Reserve(10);
        while (left >= 0x80)
        {
            _bytes[Length++] = (byte)(left | 0x80);
            left >>= 7;
        }

        _bytes[Length++] = (byte)left;
    }

    public void Write(ReadOnlySpan<byte> bytes)
    {
        Reserve(bytes.Length);
        bytes.CopyTo(_bytes.AsSpan(Length));
        Length += bytes.Length;
    }

    private void Reserve(int more)
    {
        if (Length + more > _bytes.Length)
        {
            Array.Resize(ref _bytes, Math.Max(_bytes.Length * 2, Length + more));
        }
    }
}

/// <summary>Reads what <see cref="ByteWriter"/> wrote.</summary>
internal ref struct ByteReader(ReadOnlySpan<byte> bytes)
{
    private ReadOnlySpan<byte> _left = bytes;

    public readonly bool IsAtEnd => _left.IsEmpty;

    /// <exception cref="InvalidDataException">It ends within an integer, or is none.</exception>
    public long Read()
    {
        ulong value = 0;
        for (var i = 0; i < _left.Length && i < 9; i++)
        {
            value |= (ulong)(_left[i] & 0x7f) << (7 * i);
            if (_left[i] < 0x80)
            {
                _left = _left[(i + 1)..];
                return (long)value;
            }
        }

        throw new InvalidDataException("Integers of a part end in its middle.");
    }

    /// <exception cref="InvalidDataException">There are less.</exception>
    public ReadOnlySpan<byte> Take(long count)
    {
        if (count > _left.Length)
        {
            throw new InvalidDataException("A part of a slot is shorter than it says.");
        }

        var taken = _left[..(int)count];
        _left = _left[(int)count..];
        return taken;
    }
}
