using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.Spiffe;
using Xunit;

namespace Mesh.ControlPlane.Tests.CertificateAuthority;

public sealed class SigningRequestTests
{
    private const string Id = "spiffe://cluster.local/ns/shop/sa/cart";

    [Theory]
    [InlineData(Id)]
    [InlineData("spiffe://cluster.local/ns/shop/sa/payments")]
    public void Parse_OneName_IsThatName(string name)
    {
        var request = SigningRequest.Parse(Pem(writer => writer.WriteOctetString(Names(name))), out var problem);

        Assert.Null(problem);
        Assert.Equal(name == Id, request!.NamesProblem(SpiffeId.Parse(Id)) is null);
    }

    /// <summary>Found by the fuzzer: one reader took the last value, another the first.</summary>
    [Fact]
    public void Parse_ExtensionOfTwoValues_IsRefused()
    {
        var request = SigningRequest.Parse(
            Pem(writer =>
            {
                writer.WriteOctetString(Names("spiffe://cluster.local/ns/shop/sa/payments"));
                writer.WriteOctetString(Names(Id));
            }),
            out var problem);

        Assert.Null(request);
        Assert.Contains("an extension has 3 parts", problem, StringComparison.Ordinal);
    }

    private static byte[] Names(string uri)
    {
        var names = new SubjectAlternativeNameBuilder();
        names.AddUri(new Uri(uri));
        return names.Build().RawData;
    }

    /// <param name="values">What follows the object identifier of the extension with the names.</param>
    private static string Pem(Action<AsnWriter> values)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var info = new AsnWriter(AsnEncodingRules.DER);
        using (info.PushSequence())
        {
            info.WriteInteger(0);
            info.WriteEncodedValue([0x30, 0x00]);
            info.WriteEncodedValue(key.ExportSubjectPublicKeyInfo());
            using (info.PushSetOf(new Asn1Tag(TagClass.ContextSpecific, 0)))
            using (info.PushSequence())
            {
                info.WriteObjectIdentifier("1.2.840.113549.1.9.14");
                using (info.PushSetOf())
                using (info.PushSequence())
                using (info.PushSequence())
                {
                    info.WriteObjectIdentifier("2.5.29.17");
                    values(info);
                }
            }
        }

        var request = new AsnWriter(AsnEncodingRules.DER);
        using (request.PushSequence())
        {
            request.WriteEncodedValue(info.Encode());
            using (request.PushSequence())
            {
                request.WriteObjectIdentifier("1.2.840.10045.4.3.2");
            }

            request.WriteBitString(key.SignData(info.Encode(), HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence));
        }

        return PemEncoding.WriteString("CERTIFICATE REQUEST", request.Encode());
    }
}
