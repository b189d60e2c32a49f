using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.Spiffe;

namespace Mesh.Fuzz.Tests.Targets;

/// <summary>Certificate signing requests as they come: PEM text.</summary>
internal sealed class SigningRequestTarget : IFuzzTarget
{
    public string Name => "csr";

    public int Iterations => 2_000;

    public IReadOnlyList<byte[]> Corpus { get; } = [.. CorpusFiles.Of("csr"), "-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n"u8.ToArray(), []];

    public IReadOnlyList<IMutation> Mutations { get; } =
        [new TextMutation("-----BEGIN CERTIFICATE REQUEST-----\n", "-----END CERTIFICATE REQUEST-----\n", "-----BEGIN NEW CERTIFICATE REQUEST-----", "-----BEGIN EC PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n", "MII", "=", "\n")];

    public string Run(byte[] input) => Check(Encoding.UTF8.GetString(input));

    internal static string Check(string pem)
    {
        var request = SigningRequest.Parse(pem, out var problem);
        Holds.That(request is null == problem is not null, "either a request or a problem");
        if (request is null)
        {
            return problem![..Math.Min(45, problem!.Length)];
        }

        var id = SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/cart");
        if (request!.NamesProblem(id) is not null)
        {
            return $"{request.Names.Count} other names";
        }

        // The other reader of the platform must see the same one name.
        var read = CertificateRequest.LoadSigningRequestPem(pem, HashAlgorithmName.SHA256, CertificateRequestLoadOptions.UnsafeLoadCertificateExtensions | CertificateRequestLoadOptions.SkipSignatureValidation);
        var names = read.CertificateExtensions.Where(e => e.Oid?.Value == "2.5.29.17").ToList();
        Holds.That(names.Count == 1 && Encoding.Latin1.GetString(names[0].RawData).Contains(id.ToString(), StringComparison.Ordinal), $"{names.Count} extensions of names, or not the one that was read");
        return "exactly the identity";
    }
}
