using System.Formats.Asn1;

namespace Mesh.Fuzz.Tests;

/// <summary>Changes one element of DER and writes the lengths around it anew, so that what is inside is read.</summary>
internal sealed class DerMutation : IMutation
{
    public static readonly DerMutation Instance = new();

    public byte[] Apply(byte[] input, Random random)
    {
        if (Parse(input) is not { Count: > 0 } roots)
        {
            return ByteMutation.Instance.Apply(input, random);
        }

        var all = new List<(List<Element> Siblings, int At)>();
        Collect(roots, all);
        var (siblings, at) = all[random.Next(all.Count)];
        var element = siblings[at];
        switch (random.Next(7))
        {
            case 0:
                siblings.RemoveAt(at);
                break;
            case 1:
                siblings.Insert(at, element);
                break;
            case 2:
                // Another element of the same document in its place.
                var (others, other) = all[random.Next(all.Count)];
                siblings[at] = Copy(others[other]);
                break;
            case 3:
                element.Tag = (byte)random.Next(256);
                break;
            case 4:
                element.Tag = (byte)((element.Tag & 0xe0) | random.Next(31));
                break;
            case 5 when siblings.Count > 1:
                var swap = random.Next(siblings.Count);
                (siblings[at], siblings[swap]) = (siblings[swap], element);
                break;
            default:
                (element.Value, element.Children) = (ByteMutation.Instance.Apply(element.Children is null ? element.Value : Write(element.Children), random), null);
                break;
        }

        return Write(roots);
    }

    private static void Collect(List<Element> siblings, List<(List<Element>, int)> all)
    {
        for (var i = 0; i < siblings.Count; i++)
        {
            all.Add((siblings, i));
            if (siblings[i].Children is { } children)
            {
                Collect(children, all);
            }
        }
    }

    private static Element Copy(Element element) => new() { Tag = element.Tag, Value = element.Value, Children = element.Children?.ConvertAll(Copy), Prefix = element.Prefix };

    /// <summary>Null when it is no DER. An octet string or bit string that holds DER is taken apart too: extensions and keys are such.</summary>
    private static List<Element>? Parse(ReadOnlyMemory<byte> bytes, int depth = 0)
    {
        var elements = new List<Element>();
        try
        {
            while (bytes.Length > 0)
            {
                AsnDecoder.ReadEncodedValue(bytes.Span, AsnEncodingRules.BER, out var start, out var length, out var consumed);
                // Tags above 30 have several bytes; such an element stays whole.
                if ((bytes.Span[0] & 0x1f) == 0x1f || depth > 20)
                {
                    return null;
                }

                var element = new Element { Tag = bytes.Span[0], Value = bytes.Slice(start, length).ToArray() };
                var constructed = (element.Tag & 0x20) != 0;
                var bitString = element.Tag == 3 && length > 1;
                if (constructed || element.Tag == 4 || bitString)
                {
                    element.Prefix = bitString ? element.Value[..1] : [];
                    element.Children = Parse(element.Value.AsMemory(bitString ? 1 : 0), depth + 1);
                }

                elements.Add(element);
                bytes = bytes[consumed..];
            }

            return elements;
        }
        catch (AsnContentException)
        {
            return null;
        }
    }

    private static byte[] Write(List<Element> elements)
    {
        var bytes = new List<byte>();
        foreach (var element in elements)
        {
            byte[] value = element.Children is null ? element.Value : [.. element.Prefix, .. Write(element.Children)];
            bytes.Add(element.Tag);
            if (value.Length < 0x80)
            {
                bytes.Add((byte)value.Length);
            }
            else if (value.Length < 0x100)
            {
                bytes.AddRange([0x81, (byte)value.Length]);
            }
            else
            {
                bytes.AddRange([0x83, (byte)(value.Length >> 16), (byte)(value.Length >> 8), (byte)value.Length]);
                if (value.Length < 0x10000)
                {
                    bytes.RemoveAt(bytes.Count - 3);
                    bytes[^3] = 0x82;
                }
            }

            bytes.AddRange(value);
        }

        return [.. bytes];
    }

    private sealed class Element
    {
        public byte Tag { get; set; }

        public byte[] Value { get; set; } = [];

        /// <summary>Before the children: a bit string's count of unused bits.</summary>
        public byte[] Prefix { get; set; } = [];

        /// <summary>Null when the value holds none.</summary>
        public List<Element>? Children { get; set; }
    }
}
