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
    private BalancedEndpoint? _first;
    private BalancedEndpoint? _second;
    private BalancedEndpoint? _third;
    private BalancedEndpoint? _fourth;

    public readonly bool IsEmpty => _first is null;

    public void Add(BalancedEndpoint endpoint) => (_first, _second, _third, _fourth) = (endpoint, _first, _second, _third);

    public readonly bool Contains(BalancedEndpoint endpoint) =>
        ReferenceEquals(endpoint, _first) || ReferenceEquals(endpoint, _second) || ReferenceEquals(endpoint, _third) || ReferenceEquals(endpoint, _fourth);
}
