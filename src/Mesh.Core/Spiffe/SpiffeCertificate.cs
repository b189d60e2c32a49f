using System.Diagnostics.CodeAnalysis;
using System.Formats.Asn1;
using System.Security.Cryptography.X509Certificates;

namespace Mesh.Spiffe;

/// <summary>Reads the SPIFFE ID out of a certificate.</summary>
internal static class SpiffeCertificate
{
    private static readonly Asn1Tag UriName = new(TagClass.ContextSpecific, 6);

    /// <summary>X509-SVID §2: exactly one URI SAN, and it is a SPIFFE ID.</summary>
    public static bool TryReadId(X509Certificate2 certificate, [NotNullWhen(true)] out SpiffeId? id, [NotNullWhen(false)] out string? error)
    {
        id = null;
        string? uri = null;
        foreach (var extension in certificate.Extensions)
        {
            if (extension.Oid?.Value != "2.5.29.17")
            {
                continue;
            }

            try
            {
                var whole = new AsnReader(extension.RawData, AsnEncodingRules.DER);
                var names = whole.ReadSequence();
                whole.ThrowIfNotEmpty();
                while (names.HasData)
                {
                    if (names.PeekTag() != UriName)
                    {
                        names.ReadEncodedValue();
                    }
                    else if (uri is not null)
                    {
                        error = "The certificate has more than one URI SAN; an X.509-SVID has exactly one.";
                        return false;
                    }
                    else
                    {
                        uri = names.ReadCharacterString(UniversalTagNumber.IA5String, UriName);
                    }
                }
            }
            catch (AsnContentException e)
            {
                error = $"The certificate's subject alternative name is malformed: {e.Message}";
                return false;
            }
        }

        if (uri is null)
        {
            error = "The certificate has no URI SAN; an X.509-SVID has exactly one, its SPIFFE ID.";
            return false;
        }

        return SpiffeId.TryParse(uri, out id, out error);
    }
}
