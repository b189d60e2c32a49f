namespace Mesh.Balancing;

/// <summary>The endpoints that one pick may choose from: those in use, without those that the call has tried.</summary>
internal readonly ref struct Candidates
{
    private readonly BalancedEndpoint[] _endpoints;
    private readonly TriedEndpoints _tried;

    public Candidates(BalancedEndpoint[] endpoints, long now, TriedEndpoints tried = default)
    {
        (_endpoints, Now, _tried) = (endpoints, now, tried);
        if (tried.IsEmpty)
        {
            Count = endpoints.Length;
            return;
        }

        foreach (var endpoint in endpoints)
        {
            Count += Takes(endpoint) ? 1 : 0;
        }
    }

    /// <summary>Timestamp.</summary>
    public long Now { get; }

    public int Count { get; }

    /// <summary>All in use, tried ones included.</summary>
    public BalancedEndpoint[] InUse => _endpoints;

    /// <summary>The n-th that was not tried.</summary>
    public BalancedEndpoint this[int index]
    {
        get
        {
            if (_tried.IsEmpty)
            {
                return _endpoints[index];
            }

            foreach (var endpoint in _endpoints)
            {
                if (Takes(endpoint) && index-- == 0)
                {
                    return endpoint;
                }
            }

            throw new ArgumentOutOfRangeException(nameof(index));
        }
    }

    /// <summary>It was not tried.</summary>
    public bool Takes(BalancedEndpoint endpoint) => !_tried.Contains(endpoint);
}

/// <summary>The endpoints that a call tried last, at most four.</summary>
internal struct TriedEndpoints
{
    /// <summary>Remembered; with more attempts the oldest is forgotten.</summary>
    private const int Most = 4;

    private BalancedEndpoint? _last;

    // Most calls have one attempt. Never changed once made: forks of a call share it.
    private BalancedEndpoint[]? _before;

    public readonly bool IsEmpty => _last is null;

    public void Add(BalancedEndpoint endpoint)
    {
        if (_last is { } last)
        {
            _before = _before is null ? [last] : [last, .. _before.AsSpan(0, Math.Min(_before.Length, Most - 2))];
        }

        _last = endpoint;
    }

    public readonly bool Contains(BalancedEndpoint endpoint)
    {
        if (ReferenceEquals(endpoint, _last))
        {
            return true;
        }

        foreach (var other in _before ?? [])
        {
            if (ReferenceEquals(endpoint, other))
            {
                return true;
            }
        }

        return false;
    }
}
