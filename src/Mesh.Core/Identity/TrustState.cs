using System.Security.Cryptography.X509Certificates;
using Mesh.Spiffe;

namespace Mesh.Identity;

/// <summary>Which bundle holds, of what came with the certificate and what the control plane tells over xDS. Not thread-safe: owned by the rotator's loop.</summary>
/// <remarks>
/// The later word holds. What the control plane tells replaces the roots that came with a certificate. A certificate issued after that by a root the bundle does not hold
/// shows an authority that is further on than our stream: its roots count beside the bundle until the next one is told. Where a source owns trust, only revocations are added to it.
/// </remarks>
internal sealed class TrustState
{
    private IssuedSvid? _issued;
    private TrustBundle? _told;
    private bool _issuedIsAhead;

    /// <summary>What to verify peers with; null before the first certificate.</summary>
    public TrustBundle? Bundle { get; private set; }

    /// <summary>What the control plane told last.</summary>
    public TrustBundle? LastTold => _told;

    /// <summary>A certificate was issued. False when our peers will not believe it: another bundle was told since it was asked for.</summary>
    /// <param name="askedUnder"><see cref="LastTold"/> when it was asked for.</param>
    public bool Issued(IssuedSvid issued, TrustBundle? askedUnder)
    {
        _issued = issued;
        var isVouchedFor = _told is null || issued.OwnsTrust || ChainsTo(_told, issued.Svid);
        _issuedIsAhead = !isVouchedFor && ReferenceEquals(_told, askedUnder);
        Combine();
        return isVouchedFor || _issuedIsAhead;
    }

    /// <summary>The control plane told who vouches for peers. False when our own certificate does not chain to it: peers will refuse us until it is renewed.</summary>
    public bool Told(TrustBundle bundle)
    {
        _told = bundle;
        _issuedIsAhead = false;
        Combine();
        return _issued is null || _issued.OwnsTrust || ChainsTo(bundle, _issued.Svid);
    }

    private void Combine()
    {
        Bundle = (_issued, _told) switch
        {
            (null, _) => null,
            ({ } issued, null) => issued.Bundle,
            ({ OwnsTrust: true } issued, { } told) => told.TrustDomain == issued.Bundle.TrustDomain
                ? issued.Bundle with { RevokedIds = told.RevokedIds, RevokedSerials = told.RevokedSerials }
                : issued.Bundle,
            ({ } issued, { } told) when _issuedIsAhead => told with { Roots = [.. told.Roots, .. issued.Bundle.Roots.Where(root => !told.HasRoot(root.Thumbprint))] },
            (_, { } told) => told,
        };
    }

    private static bool ChainsTo(TrustBundle bundle, X509Svid svid)
    {
        using var chain = new X509Chain { ChainPolicy = WorkloadIdentity.CreateChainPolicy(bundle.Roots) };
        // Whether the time is right is another question.
        chain.ChainPolicy.VerificationFlags = X509VerificationFlags.IgnoreNotTimeValid;
        foreach (var intermediate in svid.Intermediates)
        {
            chain.ChainPolicy.ExtraStore.Add(intermediate);
        }

        return chain.Build(svid.Leaf);
    }
}
