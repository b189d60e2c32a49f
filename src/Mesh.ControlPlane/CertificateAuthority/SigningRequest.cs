using Mesh.Spiffe;
using Org.BouncyCastle.Asn1;
using Org.BouncyCastle.Asn1.Pkcs;
using Org.BouncyCastle.Asn1.X509;
using Org.BouncyCastle.Crypto;
using Org.BouncyCastle.Crypto.Parameters;
using Org.BouncyCastle.Pkcs;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>A PKCS #10 request whose signature holds: the sender has the private key.</summary>
/// <param name="Names">All subject alternative names asked for, as text.</param>
internal sealed record SigningRequest(AsymmetricKeyParameter PublicKey, IReadOnlyList<string> Names)
{
    private const int MaxPem = 16 * 1024;

    /// <summary>Reads a request. Never throws for bad text.</summary>
    public static SigningRequest? Parse(string pem, out string? problem)
    {
        if (pem.Length is 0 or > MaxPem)
        {
            problem = $"The CSR has {pem.Length} characters. Send one PEM CERTIFICATE REQUEST of at most {MaxPem}.";
            return null;
        }

        if (Pems.Parse(pem, out var parseProblem) is not Pkcs10CertificationRequest request)
        {
            problem = $"The CSR is no PEM CERTIFICATE REQUEST ({parseProblem ?? "nothing found"}).";
            return null;
        }

        try
        {
            // What is written in another way than DER (X.690 §10) may be read in another way.
            if (!request.GetDerEncoded().AsSpan().SequenceEqual(Pems.Content(pem)))
            {
                problem = "The CSR is not DER. Make it with a library that writes X.509 as it is specified.";
                return null;
            }

            if (!request.Verify())
            {
                problem = "The CSR's signature is not made with its own key.";
                return null;
            }

            var key = request.GetPublicKey();
            problem = KeyProblem(key);
            return problem is null ? new SigningRequest(key, ReadNames(request)) : null;
        }
        catch (Exception e)
        {
            // BouncyCastle throws many types for broken ASN.1.
            problem = $"The CSR is malformed: {e.Message}";
            return null;
        }
    }

    /// <summary>Null when exactly <paramref name="id"/> is asked for.</summary>
    public string? NamesProblem(SpiffeId id) =>
        Names is [var only] && only == $"URI:{id}"
            ? null
            : $"The CSR asks for [{string.Join(", ", Names.Take(10))}], attested is 'URI:{id}'. Ask for exactly that one URI SAN.";

    private static string? KeyProblem(AsymmetricKeyParameter key) => key switch
    {
        ECPublicKeyParameters ec when ec.Parameters is ECNamedDomainParameters named
            && (named.Name.Equals(Org.BouncyCastle.Asn1.Sec.SecObjectIdentifiers.SecP256r1) || named.Name.Equals(Org.BouncyCastle.Asn1.Sec.SecObjectIdentifiers.SecP384r1)) => null,
        RsaKeyParameters { Modulus.BitLength: >= 2048 and <= 8192 } => null,
        RsaKeyParameters rsa => $"The CSR's RSA key has {rsa.Modulus.BitLength} bits. Use EC P-256 or P-384, or RSA of 2048 to 8192 bits.",
        _ => $"The CSR's key ({key.GetType().Name.Replace("KeyParameters", string.Empty, StringComparison.Ordinal)}) is of no kind we sign. Use EC P-256 or P-384, or RSA of 2048 bits or more.",
    };

    private static List<string> ReadNames(Pkcs10CertificationRequest request)
    {
        var names = new List<string>();
        foreach (var encoded in request.GetCertificationRequestInfo().Attributes ?? (IEnumerable<Asn1Encodable>)[])
        {
            var attribute = AttributePkcs.GetInstance(encoded);
            if (!attribute.AttrType.Equals(PkcsObjectIdentifiers.Pkcs9AtExtensionRequest))
            {
                continue;
            }

            foreach (var value in attribute.AttrValues)
            {
                // Read one by one: X509Extensions would keep just one of two name extensions.
                foreach (var extension in Asn1Sequence.GetInstance(value))
                {
                    var parts = Asn1Sequence.GetInstance(extension);
                    // RFC 5280 §4.1: an object identifier, "critical" or nothing, the value. With more, which of them counts is a matter of the reader.
                    if (parts.Count is not (2 or 3) || (parts.Count == 3 && parts[1] is not DerBoolean))
                    {
                        throw new InvalidDataException($"an extension has {parts.Count} parts, or its second is no boolean.");
                    }

                    if (DerObjectIdentifier.GetInstance(parts[0]).Equals(X509Extensions.SubjectAlternativeName))
                    {
                        var octets = Asn1OctetString.GetInstance(parts[parts.Count - 1]).GetOctets();
                        names.AddRange(GeneralNames.GetInstance(Asn1Object.FromByteArray(octets)).GetNames().Select(Text));
                    }
                }
            }
        }

        return names;
    }

    private static string Text(GeneralName name) => name.TagNo switch
    {
        GeneralName.UniformResourceIdentifier => $"URI:{name.Name}",
        GeneralName.DnsName => $"DNS:{name.Name}",
        GeneralName.Rfc822Name => $"email:{name.Name}",
        GeneralName.IPAddress => $"IP:{name.Name}",
        _ => $"name of type {name.TagNo}",
    };
}
