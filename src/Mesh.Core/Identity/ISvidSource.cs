using Mesh.Spiffe;

namespace Mesh.Identity;

/// <summary>Obtains a certificate for this workload, one per call.</summary>
internal interface ISvidSource
{
    /// <param name="current">What the workload holds now: it may prove who asks. Null the first time.</param>
    /// <exception cref="SvidException">No certificate was had; the message says why and what to do.</exception>
    Task<IssuedSvid> FetchAsync(WorkloadIdentity? current, CancellationToken cancellationToken);
}

/// <summary>A certificate and the roots that vouch for its peers.</summary>
internal sealed record IssuedSvid(X509Svid Svid, TrustBundle Bundle);

/// <summary>Thrown when no certificate was had.</summary>
/// <param name="needsPerson">True when trying again alone will not help: a wrong token, a foreign root, a wrong answer.</param>
internal sealed class SvidException(string message, bool needsPerson, Exception? inner = null) : Exception(message, inner)
{
    public bool NeedsPerson => needsPerson;
}
