using System.Collections.Frozen;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Google.Protobuf;
using Mesh.Spiffe;
using X509Certificate = Org.BouncyCastle.X509.X509Certificate;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>One generation of trust: roots and revocations, in every form in which they are told. Immutable.</summary>
internal sealed class TrustSnapshot
{
    private readonly FrozenSet<string> _ids;
    private readonly FrozenSet<string> _serials;

    public TrustSnapshot(TrustDomain trustDomain, IReadOnlyList<X509Certificate> roots, IReadOnlyList<Revocation> revocations)
    {
        Roots = roots;
        Bundle = new TrustBundle(trustDomain, [.. roots.Select(r => X509CertificateLoader.LoadCertificate(r.GetEncoded()))]);
        Pem = string.Concat(roots.Select(Pems.Write));
        RootsVersion = Hash(Encoding.ASCII.GetBytes(string.Join(',', roots.Select(Certificates.Id).Order(StringComparer.Ordinal))));
        _ids = revocations.Select(r => r.Id).OfType<string>().ToFrozenSet(StringComparer.Ordinal);
        _serials = revocations.Select(r => r.Serial).OfType<string>().ToFrozenSet(StringComparer.Ordinal);
        var resource = new Mesh.Protos.Identity.TrustBundle { Name = trustDomain.Name };
        // In an order of their own: that another of them signs is no news to clients.
        resource.Roots.AddRange(roots.OrderBy(Certificates.Id, StringComparer.Ordinal).Select(r => ByteString.CopyFrom(r.GetEncoded())));
        // What a version or trust domain of before has left would have workloads refuse all of it.
        var told = revocations.Where(r => r.ProblemIn(trustDomain) is null).ToList();
        resource.RevokedIds.AddRange(told.Select(r => r.Id).OfType<string>().Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal));
        resource.RevokedSerials.AddRange(told.Select(r => r.Serial).OfType<string>().Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal));
        Resource = resource.ToByteString();
        Version = Hash(Resource.Span);
    }

    public IReadOnlyList<X509Certificate> Roots { get; }

    /// <summary>The same for .NET's chain building.</summary>
    public TrustBundle Bundle { get; }

    public string Pem { get; }

    /// <summary>Of the roots alone: what an issued certificate was given with.</summary>
    public string RootsVersion { get; }

    /// <summary>The xDS resource.</summary>
    public ByteString Resource { get; }

    /// <summary>The resource's version: what clients acknowledge.</summary>
    public string Version { get; }

    /// <summary>Why this certificate is not believed; null when it is not revoked.</summary>
    /// <param name="serial">Null when there is no certificate: a token, or the own process.</param>
    public string? RevocationOf(SpiffeId id, string? serial) =>
        _ids.Contains(id.ToString()) ? $"The identity '{id}' is revoked. 'mesh identity revoke --undo' takes it back."
        : IsRevoked(serial) ? $"The certificate {serial} of '{id}' is revoked. Join again with a new token."
        : null;

    /// <summary>Why this peer is not believed: by its identity, its certificate, or an issuer of that.</summary>
    public string? RevocationOf(Peer peer) =>
        RevocationOf(peer.Id!, peer.Serials[0])
        ?? (peer.Serials.FirstOrDefault(IsRevoked) is { } issuer ? $"The issuer {issuer} of the certificate of '{peer.Id}' is revoked. Join again with a new token." : null);

    public bool IsRevoked(string? serial) => serial is not null && _serials.Contains(serial);

    /// <summary>Whether it is revoked by its serial or its identity.</summary>
    public bool IsRevoked(Issuance issued) => _ids.Contains(issued.Identity) || IsRevoked(issued.Serial);

    /// <summary>Whether its root is in force and nothing of its chain is revoked.</summary>
    public bool Believes(IssuedLeaf issued) =>
        Roots.Any(r => Certificates.Id(r) == issued.Authority.RootId) && !issued.Authority.Intermediates.Prepend(issued.Leaf).Any(c => IsRevoked(Certificates.Serial(c)));

    private static string Hash(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes).AsSpan(0, 8));
}
