using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Mesh.Spiffe;

namespace Mesh.Identity;

/// <summary>Who this process is now: one generation of certificate and trust. A renewal or a new bundle makes the next one.</summary>
/// <remarks>
/// Immutable but for the issuers that it has met: a peer that resumes a TLS session does not send its chain again, and its certificate is judged all the same (measured on
/// .NET 10: verification runs at every handshake; a server's resumed session holds the leaf alone). Thread-safe.
/// </remarks>
internal sealed class WorkloadIdentity
{
    private const int MostIssuers = 32;

    // Replaced as a whole.
    private X509Certificate2[] _issuers;

    /// <param name="leafGeneration">0: <paramref name="generation"/> brought a new leaf.</param>
    public WorkloadIdentity(X509Svid svid, TrustBundle bundle, int generation, int leafGeneration = 0)
    {
        Svid = svid;
        Bundle = bundle;
        Generation = generation;
        LeafGeneration = leafGeneration == 0 ? generation : leafGeneration;
        _issuers = [.. svid.Intermediates];
        // Sessions belong to the certificate: they end with it, and none is taken up without the verification above.
        CertificateContext = SslStreamCertificateContext.Create(svid.Leaf, [.. svid.Intermediates], offline: true);
    }

    public X509Svid Svid { get; }

    public TrustBundle Bundle { get; }

    /// <summary>Counts up from 1 with every new certificate or bundle.</summary>
    public int Generation { get; }

    /// <summary>The <see cref="Generation"/> that brought this certificate.</summary>
    public int LeafGeneration { get; }

    public SslStreamCertificateContext CertificateContext { get; }

    /// <summary>The same certificate under another bundle.</summary>
    public WorkloadIdentity With(TrustBundle bundle) => new(Svid, bundle, Generation + 1, LeafGeneration) { _issuers = Volatile.Read(ref _issuers) };

    /// <summary>A chain policy that trusts this bundle and nothing of the machine, and knows the issuers that were met.</summary>
    public X509ChainPolicy CreateChainPolicy()
    {
        var policy = CreateChainPolicy(Bundle.Roots);
        policy.ExtraStore.AddRange(Volatile.Read(ref _issuers));
        return policy;
    }

    /// <summary>Remembers the issuers of a chain that was verified: sessions under it may be resumed without them.</summary>
    public void Learn(X509Chain verified)
    {
        for (var i = 1; i < verified.ChainElements.Count - 1; i++)
        {
            var issuer = verified.ChainElements[i].Certificate;
            var known = Volatile.Read(ref _issuers);
            if (known.Length < MostIssuers && !Array.Exists(known, k => k.RawDataMemory.Span.SequenceEqual(issuer.RawDataMemory.Span)))
            {
                // A copy: the chain's own go with the handshake. A race loses one, which the next full handshake brings again.
                Volatile.Write(ref _issuers, [.. known, X509CertificateLoader.LoadCertificate(issuer.RawDataMemory.Span)]);
            }
        }
    }

    /// <summary>A chain policy that trusts these roots and nothing of the machine.</summary>
    public static X509ChainPolicy CreateChainPolicy(IReadOnlyList<X509Certificate2> roots)
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
        };
        foreach (var root in roots)
        {
            policy.CustomTrustStore.Add(root);
        }

        return policy;
    }
}
