using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Mesh.Fuzz.Tests.Targets;

/// <summary>What a certificate signing request says, signed anew after each mutation: else nothing behind the signature would ever be read.</summary>
internal sealed class SigningRequestInfoTarget : IFuzzTarget
{
    private static readonly byte[] _ecdsaWithSha256 = Convert.FromHexString("300a06082a8648ce3d040302");
    private readonly ECDsa _key = ECDsa.Create(new ECParameters { Curve = ECCurve.NamedCurves.nistP256, D = SHA256.HashData("always the same, for the same inputs"u8) });

    public SigningRequestInfoTarget() =>
        Corpus = [Info(Ask(new CertificateRequest("CN=x", _key, HashAlgorithmName.SHA256))), Info(new CertificateRequest("CN=x", _key, HashAlgorithmName.SHA256))];

    public string Name => "csr-info";

    public int Iterations => 2_000;

    public IReadOnlyList<byte[]> Corpus { get; }

    public IReadOnlyList<IMutation> Mutations { get; } = [DerMutation.Instance];

    public string Run(byte[] input)
    {
        var length = input.Length + _ecdsaWithSha256.Length + 80;
        if (length > 12_000)
        {
            return "too long";
        }

        var signature = _key.SignData(input, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence);
        byte[] content = [.. input, .. _ecdsaWithSha256, 0x03, (byte)(signature.Length + 1), 0, .. signature];
        byte[] der = [0x30, 0x82, (byte)(content.Length >> 8), (byte)content.Length, .. content];
        return SigningRequestTarget.Check(PemEncoding.WriteString("CERTIFICATE REQUEST", der));
    }

    private static byte[] Info(CertificateRequest request) => new AsnReader(request.CreateSigningRequest(), AsnEncodingRules.DER).ReadSequence().ReadEncodedValue().ToArray();

    private static CertificateRequest Ask(CertificateRequest request)
    {
        var names = new SubjectAlternativeNameBuilder();
        names.AddUri(new Uri("spiffe://cluster.local/ns/shop/sa/cart"));
        request.CertificateExtensions.Add(names.Build());
        return request;
    }
}
