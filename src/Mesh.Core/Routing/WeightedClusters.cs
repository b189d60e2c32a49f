namespace Mesh.Routing;

/// <summary>Picks one of several by weight (gRFC A28). Immutable and thread-safe.</summary>
internal sealed class WeightedClusters<T>
{
    private readonly T[] _items;
    private readonly long[] _ends;

    /// <param name="items">At least one, with weights of 1 or more.</param>
    public WeightedClusters(IReadOnlyList<(T Item, int Weight)> items)
    {
        _items = new T[items.Count];
        _ends = new long[items.Count];
        long end = 0;
        for (var i = 0; i < items.Count; i++)
        {
            _items[i] = items[i].Item;
            _ends[i] = end += items[i].Weight;
        }
    }

    public IReadOnlyList<T> Items => _items;

    public T Pick(Random random)
    {
        if (_items.Length == 1)
        {
            return _items[0];
        }

        var point = random.NextInt64(_ends[^1]);
        var i = 0;
        while (_ends[i] <= point)
        {
            i++;
        }

        return _items[i];
    }
}
