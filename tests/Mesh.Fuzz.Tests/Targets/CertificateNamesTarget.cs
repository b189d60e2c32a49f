using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mesh.Spiffe;
using Org.BouncyCastle.Asn1;
using Org.BouncyCastle.Asn1.X509;

namespace Mesh.Fuzz.Tests.Targets;

/// <summary>The SPIFFE ID of a certificate. What is read must be the certificate's one URI name, as another ASN.1 reader sees it too.</summary>
internal sealed class CertificateNamesTarget : IFuzzTarget
{
    private const string NamesOid = "2.5.29.17";

    public string Name => "certificate-names";

    public int Iterations => 6_000;

    public IReadOnlyList<byte[]> Corpus { get; } = CorpusFiles.Of("certificate-names");

    public IReadOnlyList<IMutation> Mutations { get; } = [DerMutation.Instance];

    public string Run(byte[] input)
    {
        X509Certificate2 certificate;
        try
        {
            certificate = X509CertificateLoader.LoadCertificate(input);
        }
        catch (CryptographicException)
        {
            return "no certificate";
        }

        using (certificate)
        {
            if (!SpiffeCertificate.TryReadId(certificate, out var id, out var error))
            {
                Holds.That(id is null && error is { Length: > 0 }, "a refusal tells why");
                return error![..Math.Min(40, error.Length)];
            }

            Holds.That(error is null, "no error beside an identity");
            var names = Uris(certificate);
            Holds.That(names is null || (names is [var only] && only == id.ToString()), $"read was {id}, the certificate has {string.Join(", ", names ?? [])}");
            return names is null ? "identity, the other reader refuses" : "identity";
        }
    }

    /// <summary>Null when the other reader finds it malformed.</summary>
    private static List<string>? Uris(X509Certificate2 certificate)
    {
        try
        {
            return [.. certificate.Extensions.Where(e => e.Oid?.Value == NamesOid)
                .SelectMany(e => GeneralNames.GetInstance(Asn1Object.FromByteArray(e.RawData)).GetNames())
                .Where(n => n.TagNo == GeneralName.UniformResourceIdentifier)
                .Select(n => DerIA5String.GetInstance(n.Name).GetString())];
        }
        catch (Exception e) when (e is ArgumentException or IOException or InvalidCastException or Asn1ParsingException or InvalidOperationException)
        {
            return null;
        }
    }
}
