using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Model;
using Mesh.Spiffe;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mesh.ControlPlane.Cluster;

/// <summary>Makes the authority's parts on a copy of the shared state: the same code decides as on a folder, and nothing of it is in force until the copy is kept.</summary>
internal sealed class AuthorityTrial(MeshControlPlaneOptions options, CertificateMaker maker, TimeProvider time, ILoggerFactory loggers)
{
    private readonly TrustDomain _trustDomain = TrustDomain.Parse(options.TrustDomain);

    /// <summary>The first state: what the operator gave, else a new root.</summary>
    public AuthorityState First(StateCopy copy, IssuerFiles? given)
    {
        var trust = new TrustBundleStore(copy, _trustDomain, time);
        var state = new AuthorityLoader(copy, options, maker, time, loggers.CreateLogger<AuthorityLoader>()).Load(given, out var anchors);
        return Of(copy, trust, state, anchors, NullLoggerFactory.Instance);
    }

    /// <summary>As it is kept.</summary>
    /// <param name="withGivenRoot">Also what the operator's root files say now: only for whose turn it is.</param>
    public AuthorityState Kept(StateCopy copy, bool withGivenRoot)
    {
        var trust = new TrustBundleStore(copy, _trustDomain, time);
        IReadOnlyList<Org.BouncyCastle.X509.X509Certificate> anchors;
        var state = withGivenRoot && options is { RootCertificate: not null, RootKey: not null }
            ? new AuthorityLoader(copy, options, maker, time, NullLogger<AuthorityLoader>.Instance).Load(null, out anchors)
            : AuthorityLoader.Kept(copy, out anchors);
        return Of(copy, trust, state, anchors, NullLoggerFactory.Instance);
    }

    /// <summary>What this replica serves: it takes what is kept, and its own writes go nowhere.</summary>
    public AuthorityState Live(StateCopy copy)
    {
        var trust = new TrustBundleStore(copy, _trustDomain, time);
        var state = AuthorityLoader.Kept(copy, out var anchors);
        return Of(copy, trust, state, anchors, loggers);
    }

    private AuthorityState Of(StateCopy copy, TrustBundleStore trust, TrustState state, IReadOnlyList<Org.BouncyCastle.X509.X509Certificate> anchors, ILoggerFactory logs) => new(
        new MeshAuthority(state, anchors, copy, trust, maker, time, logs.CreateLogger<MeshAuthority>()), trust, new LeafPolicyStore(copy, time, options.LeafLife));
}
