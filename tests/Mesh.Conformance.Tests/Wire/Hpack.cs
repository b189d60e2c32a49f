using System.Text;

namespace Mesh.Conformance.Tests.Wire;

/// <summary>Representations of RFC 7541 §6 as bytes, one by one, so that a case chooses them; and a decoder that forgives nothing.</summary>
internal static class Hpack
{
    /// <summary>Literals without indexing: nothing that the peer has to keep.</summary>
    public static byte[] Block(params ReadOnlySpan<(string Name, string Value)> fields)
    {
        var bytes = new List<byte>();
        foreach (var (name, value) in fields)
        {
            bytes.AddRange(Literal(name, value));
        }

        return [.. bytes];
    }

    /// <summary>§6.1</summary>
    public static byte[] Indexed(int index) => Integer(index, 7, 0x80);

    /// <summary>§6.2.1 when it is to be indexed, else §6.2.2; never: §6.2.3.</summary>
    public static byte[] Literal(string name, string value, bool indexed = false, bool never = false, bool huffman = false) =>
        [.. Integer(0, indexed ? 6 : 4, Pattern(indexed, never)), .. Text(name, huffman), .. Text(value, huffman)];

    /// <summary>The name by its index.</summary>
    public static byte[] Literal(int name, string value, bool indexed = false, bool never = false, bool huffman = false) =>
        [.. Integer(name, indexed ? 6 : 4, Pattern(indexed, never)), .. Text(value, huffman)];

    /// <summary>§6.3</summary>
    public static byte[] TableSize(int size) => Integer(size, 5, 0x20);

    /// <summary>§5.1</summary>
    public static byte[] Integer(int value, int prefix, byte pattern)
    {
        var most = (1 << prefix) - 1;
        if (value < most)
        {
            return [(byte)(pattern | value)];
        }

        List<byte> bytes = [(byte)(pattern | most)];
        for (value -= most; value >= 128; value >>= 7)
        {
            bytes.Add((byte)(value | 0x80));
        }

        return [.. bytes, (byte)value];
    }

    /// <summary>§5.2</summary>
    public static byte[] Text(string text, bool huffman = false)
    {
        var octets = Encoding.Latin1.GetBytes(text);
        return huffman ? Text(Huffman.Encode(octets), 0x80) : Text(octets, 0);
    }

    /// <param name="huffman">0x80 says that the octets are Huffman-coded.</param>
    public static byte[] Text(byte[] octets, byte huffman) => [.. Integer(octets.Length, 7, huffman), .. octets];

    public static List<(string Name, string Value)> Decode(ReadOnlySpan<byte> block, HpackTables tables)
    {
        var fields = new List<(string, string)>();
        while (!block.IsEmpty)
        {
            var first = block[0];
            if ((first & 0x80) != 0)
            {
                fields.Add(tables[ReadInteger(ref block, 7)]);
            }
            else if ((first & 0x40) != 0)
            {
                var field = ReadLiteral(ref block, 6, tables);
                tables.Add(field.Name, field.Value);
                fields.Add(field);
            }
            else if ((first & 0x20) != 0)
            {
                if (fields.Count > 0)
                {
                    throw new HpackException("a table size update after a field");
                }

                tables.Resize(ReadInteger(ref block, 5));
            }
            else
            {
                fields.Add(ReadLiteral(ref block, 4, tables));
            }
        }

        return fields;
    }

    private static byte Pattern(bool indexed, bool never) => indexed ? (byte)0x40 : never ? (byte)0x10 : (byte)0;

    private static (string Name, string Value) ReadLiteral(ref ReadOnlySpan<byte> block, int prefix, HpackTables tables)
    {
        var index = ReadInteger(ref block, prefix);
        var name = index == 0 ? ReadText(ref block) : tables[index].Name;
        return (name, ReadText(ref block));
    }

    private static string ReadText(ref ReadOnlySpan<byte> block)
    {
        var huffman = !block.IsEmpty && (block[0] & 0x80) != 0;
        var length = ReadInteger(ref block, 7);
        if (length > block.Length)
        {
            throw new HpackException("a string longer than its block");
        }

        var octets = block[..length];
        block = block[length..];
        return Encoding.Latin1.GetString(huffman ? Huffman.Decode(octets) : octets);
    }

    private static int ReadInteger(ref ReadOnlySpan<byte> block, int prefix)
    {
        var most = (1 << prefix) - 1;
        if (block.IsEmpty)
        {
            throw new HpackException("a block that ends within a field");
        }

        var value = block[0] & most;
        block = block[1..];
        for (var shift = 0; value >= most; shift += 7)
        {
            if (block.IsEmpty || shift > 21)
            {
                throw new HpackException("an integer without an end");
            }

            var octet = block[0];
            block = block[1..];
            value += (octet & 0x7f) << shift;
            if ((octet & 0x80) == 0)
            {
                break;
            }
        }

        return value;
    }
}
