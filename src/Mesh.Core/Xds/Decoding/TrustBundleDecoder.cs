using System.Buffers;
using System.Collections.Frozen;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Google.Protobuf;
using Google.Protobuf.Collections;
using Mesh.Spiffe;

namespace Mesh.Xds.Decoding;

/// <summary>Our own resource: who vouches for the peers of a trust domain, and who is not believed although they do.</summary>
internal static class TrustBundleDecoder
{
    // RFC 5280 §4.1.2.2: at most 20 octets.
    private const int MaxSerialDigits = 40;

    private static readonly SearchValues<char> HexDigits = SearchValues.Create("0123456789abcdef");

    public static DecodeResult Decode(Protos.Identity.TrustBundle given)
    {
        var errors = new DecodeErrors();
        if (!TrustDomain.TryParse(given.Name, out var domain, out _))
        {
            errors.Add("name", $"is '{Shorten(given.Name)}'", "Name the resource as its trust domain: 1–255 characters of a–z, 0–9, '.', '-' and '_'.");
        }

        var bundle = new TrustBundle(domain, Roots(given.Roots, errors))
        {
            RevokedIds = Ids(given.RevokedIds, domain, errors),
            RevokedSerials = Serials(given.RevokedSerials, errors),
        };
        return errors.Result(given.Name, bundle);
    }

    private static List<X509Certificate2> Roots(RepeatedField<ByteString> given, DecodeErrors errors)
    {
        var roots = new List<X509Certificate2>();
        if (given.Count == 0)
        {
            errors.Add("roots", "is empty", "Send at least one root: a bundle without any would refuse every peer.");
        }

        for (var i = 0; i < given.Count; i++)
        {
            if (Root(given[i], $"roots[{i}]", errors) is not { } root)
            {
                continue;
            }

            if (roots.Exists(r => r.RawDataMemory.Span.SequenceEqual(root.RawDataMemory.Span)))
            {
                errors.Add($"roots[{i}]", $"is '{root.Subject}', which is there already", "Send each root once.");
            }

            roots.Add(root);
        }

        return roots;
    }

    private static X509Certificate2? Root(ByteString der, string path, DecodeErrors errors)
    {
        const string fix = "Send one X.509 certificate in DER.";
        X509Certificate2 root;
        try
        {
            root = X509CertificateLoader.LoadCertificate(der.Span);
            // The loader takes PEM, too.
            if (!root.RawDataMemory.Span.SequenceEqual(der.Span))
            {
                errors.Add(path, $"is {der.Length} bytes that are not exactly one DER certificate", fix);
                return null;
            }
        }
        catch (CryptographicException e)
        {
            errors.Add(path, $"is {der.Length} bytes that are no certificate ({e.Message.TrimEnd('.')})", fix);
            return null;
        }

        try
        {
            if (!root.Extensions.OfType<X509BasicConstraintsExtension>().Any(constraints => constraints.CertificateAuthority))
            {
                errors.Add(path, $"is '{root.Subject}', which is no authority", "Send certificates whose basic constraints say CA.");
            }
            else if (!root.SubjectName.RawData.AsSpan().SequenceEqual(root.IssuerName.RawData))
            {
                errors.Add(path, $"is '{root.Subject}', issued by '{root.Issuer}'", "Send self-signed roots; issuers below them come with each peer's chain.");
            }
        }
        catch (CryptographicException e)
        {
            errors.Add(path, $"has a malformed extension ({e.Message.TrimEnd('.')})", fix);
        }

        return root;
    }

    private static FrozenSet<SpiffeId> Ids(RepeatedField<string> given, TrustDomain domain, DecodeErrors errors)
    {
        var ids = new HashSet<SpiffeId>();
        for (var i = 0; i < given.Count; i++)
        {
            if (!SpiffeId.TryParse(given[i], out var id, out var problem))
            {
                errors.Add($"revoked_ids[{i}]", $"is no SPIFFE ID: {problem}");
            }
            else if (id.TrustDomain != domain)
            {
                errors.Add($"revoked_ids[{i}]", $"is '{id}', of another trust domain than '{domain}'", "Leave it out: this bundle vouches for none of them.");
            }
            else if (!ids.Add(id))
            {
                errors.Add($"revoked_ids[{i}]", $"is '{id}', which is there already", "Send each identity once.");
            }
        }

        return ids.ToFrozenSet();
    }

    private static FrozenSet<string> Serials(RepeatedField<string> given, DecodeErrors errors)
    {
        var serials = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < given.Count; i++)
        {
            var serial = given[i];
            if (serial.Length is 0 or > MaxSerialDigits || serial[0] == '0' || serial.AsSpan().ContainsAnyExcept(HexDigits))
            {
                errors.Add($"revoked_serials[{i}]", $"is '{Shorten(serial)}'", $"Use 1–{MaxSerialDigits} digits of lower-case hexadecimal without leading zeros.");
            }
            else if (!serials.Add(serial))
            {
                errors.Add($"revoked_serials[{i}]", $"is '{serial}', which is there already", "Send each serial number once.");
            }
        }

        return serials.ToFrozenSet(StringComparer.Ordinal);
    }

    private static string Shorten(string text) => text.Length <= 100 ? text : text[..100] + "…";
}
