namespace Mesh.Conformance.Tests.Wire;

/// <summary>RFC 7541 Appendix B: the code is canonical, so that the lengths say all of it.</summary>
internal static class Huffman
{
    public const int Eos = 256;

    private static readonly byte[] _lengths =
    [
        13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, // 0
        6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, // 32: SP ! " …
        13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, // 64: @ A B …
        15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, // 96: ` a b …
        20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, // 128
        22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, // 160
        26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, // 192
        20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, // 224
        30, // EOS
    ];

    private static readonly uint[] _codes = Codes();
    private static readonly Dictionary<(int Length, uint Code), int> _symbols = Enumerable.Range(0, 257).ToDictionary(s => ((int)_lengths[s], _codes[s]), s => s);

    public static ReadOnlySpan<byte> Lengths => _lengths;

    public static byte[] Encode(ReadOnlySpan<byte> text)
    {
        var bits = new Bits();
        foreach (var b in text)
        {
            bits.Write(_codes[b], _lengths[b]);
        }

        return bits.Padded();
    }

    /// <summary>Any sequence of symbols, EOS too, with a padding of the caller's choice.</summary>
    public static byte[] EncodeSymbols(IEnumerable<int> symbols, uint padding = uint.MaxValue, int extraPaddingBytes = 0)
    {
        var bits = new Bits();
        foreach (var symbol in symbols)
        {
            bits.Write(_codes[symbol], _lengths[symbol]);
        }

        return [.. bits.Padded(padding), .. Enumerable.Repeat((byte)0xff, extraPaddingBytes)];
    }

    public static byte[] Decode(ReadOnlySpan<byte> bytes)
    {
        var text = new List<byte>();
        uint code = 0;
        var length = 0;
        foreach (var b in bytes)
        {
            for (var bit = 7; bit >= 0; bit--)
            {
                code = (code << 1) | ((uint)(b >> bit) & 1);
                length++;
                if (_symbols.TryGetValue((length, code), out var symbol))
                {
                    text.Add(symbol == Eos ? throw new HpackException("EOS in a string") : (byte)symbol);
                    code = 0;
                    length = 0;
                }
            }
        }

        // RFC 7541 §5.2: fewer than 8 bits, all of them ones.
        return length < 8 && code == (1u << length) - 1 ? [.. text] : throw new HpackException("a Huffman string's padding is not the beginning of EOS");
    }

    private static uint[] Codes()
    {
        var codes = new uint[257];
        uint next = 0;
        for (var length = 1; length <= 30; length++, next <<= 1)
        {
            for (var symbol = 0; symbol < 257; symbol++)
            {
                if (_lengths[symbol] == length)
                {
                    codes[symbol] = next++;
                }
            }
        }

        return codes;
    }

    private sealed class Bits
    {
        private readonly List<byte> _bytes = [];
        private int _free;

        public void Write(uint code, int length)
        {
            for (var bit = length - 1; bit >= 0; bit--)
            {
                if (_free == 0)
                {
                    _bytes.Add(0);
                    _free = 8;
                }

                _free--;
                _bytes[^1] |= (byte)(((code >> bit) & 1) << _free);
            }
        }

        public byte[] Padded(uint padding = uint.MaxValue)
        {
            while (_free > 0)
            {
                Write(padding & 1, 1);
            }

            return [.. _bytes];
        }
    }
}
