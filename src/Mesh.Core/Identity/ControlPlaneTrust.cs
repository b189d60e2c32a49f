using System.Security.Cryptography.X509Certificates;
using Mesh.Config;
using Mesh.Spiffe;

namespace Mesh.Identity;

/// <summary>Which roots vouch for the control plane (ADR 11). Thread-safe.</summary>
/// <remarks>
/// What was given at start, until a bundle came over xDS. From then on that bundle, and what an operator has put into the given file since the start: a root that was in it
/// then and is no longer in the bundle has been retired, however old the file is.
/// </remarks>
/// <param name="given">Read at every connection; throws when it cannot be had.</param>
internal sealed class ControlPlaneTrust(Func<TrustBundle> given)
{
    private readonly Lock _lock = new();

    // Guarded by _lock.
    private HashSet<string>? _atStart;
    private TrustBundle? _told;
    private IReadOnlyList<X509Certificate2> _added = [];

    /// <summary>Roots and revocations without another look at what is given; null before a bundle came over xDS.</summary>
    public TrustBundle? Held
    {
        get
        {
            lock (_lock)
            {
                return _told is { } told && _added.Count > 0 ? told with { Roots = [.. told.Roots, .. _added] } : _told;
            }
        }
    }

    /// <summary>For a connection that is made now.</summary>
    /// <exception cref="SvidException">Nothing is given that can be read, and nothing came over xDS.</exception>
    public TrustBundle Read()
    {
        TrustBundle now;
        try
        {
            now = given();
        }
        catch (SvidException) when (Held is not null)
        {
            return Held!;
        }

        lock (_lock)
        {
            _atStart ??= [.. now.Roots.Select(root => root.Thumbprint)];
            if (_told is null)
            {
                return now;
            }

            _added = [.. now.Roots.Where(root => !_atStart.Contains(root.Thumbprint) && !_told.HasRoot(root.Thumbprint))];
        }

        return Held!;
    }

    /// <summary>Takes each bundle that appears.</summary>
    public IDisposable Follow(SnapshotStore snapshots) => snapshots.Subscribe(snapshot =>
    {
        if (snapshot.TrustBundle is { } told)
        {
            lock (_lock)
            {
                // A bundle can only come over a connection that was made by what is given.
                _told = told;
            }
        }
    });
}
