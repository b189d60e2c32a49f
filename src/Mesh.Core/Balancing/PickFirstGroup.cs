namespace Mesh.Balancing;

/// <summary>One endpoint takes all calls as long as it can be connected to; then the next in order (gRFC A62). Thread-safe.</summary>
internal sealed class PickFirstGroup : EndpointGroup
{
    private readonly Lock _lock = new();
    private readonly double[]? _shares;
    private readonly BalancedEndpoint? _keep;
    private BalancedEndpoint[] _order;
    private bool _shuffled;
    private int _current;
    private bool _used;

    /// <param name="endpoints">At least one, in the control plane's order.</param>
    /// <param name="shares">One per endpoint, to draw an order by (gRFC A113); null keeps the given order.</param>
    /// <param name="old">What was used before the update: its endpoint is kept when it is still there.</param>
    public PickFirstGroup(BalancedEndpoint[] endpoints, double[]? shares, PickFirstGroup? old)
    {
        (_order, _shares, _shuffled) = (endpoints, shares, shares is null);
        _keep = old?.InUse is { } used && endpoints.Contains(used) ? used : null;
        if (_keep is not null)
        {
            _used = true;
            _current = Array.IndexOf(endpoints, _keep);
        }
    }

    private BalancedEndpoint? InUse => Volatile.Read(ref _used) ? Volatile.Read(ref _order)[Volatile.Read(ref _current)] : null;

    public override BalancedEndpoint? Pick(in PickRequest request)
    {
        if (!Volatile.Read(ref _shuffled))
        {
            Shuffle(request.Random);
        }

        var order = _order;
        var start = Volatile.Read(ref _current);
        for (var i = 0; i < order.Length; i++)
        {
            var endpoint = order[(start + i) % order.Length];
            if (request.Takes(endpoint))
            {
                if (!Volatile.Read(ref _used))
                {
                    Volatile.Write(ref _used, true);
                }

                return endpoint;
            }
        }

        return null;
    }

    public override void ConnectFailed(BalancedEndpoint endpoint)
    {
        var order = Volatile.Read(ref _order);
        var current = Volatile.Read(ref _current);
        if (ReferenceEquals(order[current], endpoint))
        {
            Interlocked.CompareExchange(ref _current, (current + 1) % order.Length, current);
        }
    }

    /// <summary>Once, at the first pick. The lock is never taken again.</summary>
    private void Shuffle(Random random)
    {
        lock (_lock)
        {
            if (_shuffled)
            {
                return;
            }

            // Sorting by u^(1/weight), greatest first, puts each endpoint first as often as its weight says; by its logarithm, which can't underflow.
            var keys = new double[_order.Length];
            for (var i = 0; i < keys.Length; i++)
            {
                keys[i] = -Math.Log(1 - random.NextDouble()) / _shares![i];
            }

            BalancedEndpoint[] order = [.. _order];
            Array.Sort(keys, order);
            if (_keep is not null)
            {
                _current = Array.IndexOf(order, _keep);
            }

            _order = order;
            Volatile.Write(ref _shuffled, true);
        }
    }
}
