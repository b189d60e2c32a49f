namespace Mesh.Balancing;

/// <summary>The endpoints that one pick may choose from: one priority, without those that sit out or were tried.</summary>
internal readonly ref struct Candidates
{
    private readonly BalancedEndpoint[] _endpoints;
    private readonly TriedEndpoints _tried;
    private readonly bool _filtered;
    private readonly bool _skipOut;

    /// <summary>All of them.</summary>
    public Candidates(BalancedEndpoint[] endpoints, long now)
    {
        (_endpoints, Now, Count) = (endpoints, now, endpoints.Length);
    }

    public Candidates(BalancedEndpoint[] endpoints, long now, TriedEndpoints tried, bool skipOut)
    {
        (_endpoints, Now, _tried, _skipOut, _filtered) = (endpoints, now, tried, skipOut, true);
        foreach (var endpoint in endpoints)
        {
            Count += Takes(endpoint) ? 1 : 0;
        }
    }

    public long Now { get; }

    public int Count { get; }

    /// <summary>The n-th usable one. Another thread may have ejected one since they were counted: then the last usable one, or any.</summary>
    public BalancedEndpoint this[int index]
    {
        get
        {
            if (!_filtered)
            {
                return _endpoints[index];
            }

            BalancedEndpoint? last = null;
            foreach (var endpoint in _endpoints)
            {
                if (Takes(endpoint))
                {
                    last = endpoint;
                    if (index-- == 0)
                    {
                        break;
                    }
                }
            }

            return last ?? _endpoints[0];
        }
    }

    private bool Takes(BalancedEndpoint endpoint) => !_tried.Contains(endpoint) && !(_skipOut && !endpoint.IsUsable(Now));
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
