using System.Formats.Asn1;

namespace Mesh.Core.Tests.Identity;

/// <summary>Writes subject alternative names as nobody should: any bytes in them.</summary>
internal sealed class SubjectAlternativeNames
{
    private readonly List<(int Tag, byte[] Bytes)> _names = [];

    public SubjectAlternativeNames Uri(string text) => Add(6, System.Text.Encoding.Latin1.GetBytes(text));

    public SubjectAlternativeNames Dns(string text) => Add(2, System.Text.Encoding.Latin1.GetBytes(text));

    public byte[] Build()
    {
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            foreach (var (tag, bytes) in _names)
            {
                writer.WriteOctetString(bytes, new Asn1Tag(TagClass.ContextSpecific, tag));
            }
        }

        return writer.Encode();
    }

    private SubjectAlternativeNames Add(int tag, byte[] bytes)
    {
        _names.Add((tag, bytes));
        return this;
    }
}
