using Mesh.Spiffe;

namespace Mesh.Identity;

/// <summary>Obtains a certificate for this workload.</summary>
internal interface ISvidSource
{
    /// <summary>A new certificate, or, from a source that is given them, the newest.</summary>
    /// <param name="current">What the workload holds now: it may prove who asks. Null the first time.</param>
    /// <exception cref="SvidException">No certificate was had; the message says why and what to do.</exception>
    Task<IssuedSvid> FetchAsync(WorkloadIdentity? current, CancellationToken cancellationToken);

    /// <summary>Calls <paramref name="onNews"/> when <see cref="FetchAsync"/> would give something new, until disposed. Null: this source only answers.</summary>
    IDisposable? Subscribe(Action onNews) => null;
}

/// <summary>A certificate and the roots that vouch for its peers.</summary>
/// <param name="OwnsTrust">True: these roots are the source's to say, whatever the control plane's bundle holds. False: they only start things off.</param>
internal sealed record IssuedSvid(X509Svid Svid, TrustBundle Bundle, bool OwnsTrust = false);

/// <summary>Thrown when no certificate was had.</summary>
/// <param name="needsPerson">True when trying again alone will not help: a wrong token, a foreign root, a wrong answer.</param>
internal sealed class SvidException(string message, bool needsPerson, Exception? inner = null) : Exception(message, inner)
{
    public bool NeedsPerson => needsPerson;
}
