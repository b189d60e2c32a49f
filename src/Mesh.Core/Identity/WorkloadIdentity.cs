using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Mesh.Spiffe;

namespace Mesh.Identity;

/// <summary>Who this process is now: one generation of certificate and trust. Immutable; a renewal or a new bundle makes the next one.</summary>
internal sealed class WorkloadIdentity
{
    /// <param name="leafGeneration">0: <paramref name="generation"/> brought a new leaf.</param>
    public WorkloadIdentity(X509Svid svid, TrustBundle bundle, int generation, int leafGeneration = 0)
    {
        Svid = svid;
        Bundle = bundle;
        Generation = generation;
        LeafGeneration = leafGeneration == 0 ? generation : leafGeneration;
        // One context per generation: TLS resumption works only within one (measured), and so never outlives the trust that it began under.
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
    public WorkloadIdentity With(TrustBundle bundle) => new(Svid, bundle, Generation + 1, LeafGeneration);

    /// <summary>A chain policy that trusts this bundle and nothing of the machine.</summary>
    public X509ChainPolicy CreateChainPolicy() => CreateChainPolicy(Bundle.Roots);

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
