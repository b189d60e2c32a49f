using Google.Protobuf;

namespace Mesh.Fuzz.Tests;

/// <summary>Changes one field of a protobuf message, at any depth, and writes the lengths around it anew.</summary>
internal sealed class ProtobufMutation : IMutation
{
    public static readonly ProtobufMutation Instance = new();

    private static readonly ulong[] _edges = [0, 1, 2, 100, 127, 128, 255, 256, 599, 600, 65535, 65536, int.MaxValue, 1UL << 31, uint.MaxValue, 1UL << 32, long.MaxValue, 1UL << 63, ulong.MaxValue];

    public byte[] Apply(byte[] input, Random random)
    {
        if (Parse(input) is not { Count: > 0 } fields)
        {
            return ByteMutation.Instance.Apply(input, random);
        }

        var at = random.Next(fields.Count);
        var field = fields[at];
        switch (random.Next(9))
        {
            case 0:
                fields.RemoveAt(at);
                break;
            case 1:
                fields.Insert(random.Next(fields.Count + 1), field);
                break;
            case 2:
                fields[at] = field with { Number = 1 + random.Next(20) };
                break;
            case 3:
                (fields[at], fields[^1]) = (fields[^1], field);
                break;
            case 4 when field.Bytes is null:
                fields[at] = field with { Varint = random.Next(2) == 0 ? _edges[random.Next(_edges.Length)] : field.Varint + (ulong)random.Next(-2, 3) };
                break;
            case 4:
                fields[at] = field with { Bytes = TextWord(random) };
                break;
            default:
                // Deeper: most of a resource is inside of something.
                fields[at] = field.Bytes is null ? field with { Varint = (ulong)random.Next(20) } : field with { Bytes = random.Next(12) == 0 ? ByteMutation.Instance.Apply(field.Bytes, random) : Apply(field.Bytes, random) };
                break;
        }

        return Write(fields);
    }

    private static byte[] TextWord(Random random)
    {
        ReadOnlySpan<string> words = ["", "*", "/", "(", "[a-z]+", "(a+)+$", "{", ":", "-1", ".", "..", "*.a", "a:b", "::1", "300.1.1.1", "type.googleapis.com/", "\u0130"];
        return System.Text.Encoding.UTF8.GetBytes(words[random.Next(words.Length)]);
    }

    /// <summary>Null when it is no message; text may look like one, which does no harm.</summary>
    private static List<Field>? Parse(byte[] bytes)
    {
        var fields = new List<Field>();
        var reader = new CodedInputStream(bytes);
        try
        {
            uint tag;
            while ((tag = reader.ReadTag()) != 0)
            {
                var (number, wire) = (WireFormat.GetTagFieldNumber(tag), WireFormat.GetTagWireType(tag));
                switch (wire)
                {
                    case WireFormat.WireType.Varint:
                        fields.Add(new Field(number, wire, reader.ReadUInt64(), null));
                        break;
                    case WireFormat.WireType.Fixed32:
                        fields.Add(new Field(number, wire, reader.ReadFixed32(), null));
                        break;
                    case WireFormat.WireType.Fixed64:
                        fields.Add(new Field(number, wire, reader.ReadFixed64(), null));
                        break;
                    case WireFormat.WireType.LengthDelimited:
                        fields.Add(new Field(number, wire, 0, reader.ReadBytes().ToByteArray()));
                        break;
                    default:
                        return null;
                }
            }

            return fields;
        }
        catch (InvalidProtocolBufferException)
        {
            return null;
        }
    }

    private static byte[] Write(List<Field> fields)
    {
        using var bytes = new MemoryStream();
        using (var writer = new CodedOutputStream(bytes, leaveOpen: true))
        {
            foreach (var field in fields)
            {
                writer.WriteTag(field.Number, field.Wire);
                switch (field.Wire)
                {
                    case WireFormat.WireType.Varint:
                        writer.WriteUInt64(field.Varint);
                        break;
                    case WireFormat.WireType.Fixed32:
                        writer.WriteFixed32((uint)field.Varint);
                        break;
                    case WireFormat.WireType.Fixed64:
                        writer.WriteFixed64(field.Varint);
                        break;
                    default:
                        writer.WriteBytes(ByteString.CopyFrom(field.Bytes!));
                        break;
                }
            }
        }

        return bytes.ToArray();
    }

    private sealed record Field(int Number, WireFormat.WireType Wire, ulong Varint, byte[]? Bytes);
}
