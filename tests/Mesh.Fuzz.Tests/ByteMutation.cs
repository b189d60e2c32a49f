using System.Buffers.Binary;

namespace Mesh.Fuzz.Tests;

/// <summary>What can be done to any bytes: bits, numbers, pieces.</summary>
internal sealed class ByteMutation : IMutation
{
    public static readonly ByteMutation Instance = new();

    private static readonly int[] _edges = [0, 1, 2, 0x7e, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, int.MaxValue, int.MinValue, -1];

    public byte[] Apply(byte[] input, Random random)
    {
        if (input.Length == 0)
        {
            return [(byte)random.Next(256)];
        }

        var at = random.Next(input.Length);
        var length = 1 + random.Next(Math.Min(input.Length - at, 1 << random.Next(8)));
        byte[] copy = [.. input];
        switch (random.Next(8))
        {
            case 0:
                copy[at] ^= (byte)(1 << random.Next(8));
                return copy;
            case 1:
                copy[at] = (byte)random.Next(256);
                return copy;
            case 2:
                copy[at] = (byte)(copy[at] + (random.Next(2) == 0 ? 1 : -1));
                return copy;
            case 3:
                return [.. input.AsSpan(0, at), .. input.AsSpan(at + length)];
            case 4:
                return [.. input.AsSpan(0, at + length), .. input.AsSpan(at)];
            case 5:
                var piece = new byte[length];
                random.NextBytes(piece);
                return [.. input.AsSpan(0, at), .. piece, .. input.AsSpan(at)];
            case 6:
                return input[..at];
            default:
                Span<byte> number = stackalloc byte[4];
                BinaryPrimitives.WriteInt32BigEndian(number, _edges[random.Next(_edges.Length)]);
                var size = Math.Min(1 + random.Next(4), input.Length - at);
                number[^size..].CopyTo(copy.AsSpan(at));
                return copy;
        }
    }
}

/// <summary>The beginning of one input and the end of another.</summary>
internal sealed class Splice(byte[] other) : IMutation
{
    public byte[] Apply(byte[] input, Random random) => [.. input.AsSpan(0, random.Next(input.Length + 1)), .. other.AsSpan(random.Next(other.Length + 1))];
}
