namespace Mesh.ControlPlane.Telemetry;

/// <summary>Counts by exponential bucket (scale 4): a dense range that grows to what was seen. Not thread-safe.</summary>
/// <remarks>Bucket i holds (2^(i/16), 2^((i+1)/16)] s. Indexes are clamped, so that hostile ones cost nothing.</remarks>
internal sealed class BucketCounts
{
    /// <summary>About 1 µs.</summary>
    public const int Lowest = -320;

    /// <summary>About 1,100 s.</summary>
    public const int Highest = 163;

    private int _offset;
    private long[] _counts = [];

    public long Total { get; private set; }

    /// <summary>The bucket of the first of <see cref="Counts"/>.</summary>
    public int Offset => _offset;

    public ReadOnlySpan<long> Counts => _counts;

    public void Add(int index, long count)
    {
        if (count == 0)
        {
            return;
        }

        index = Math.Clamp(index, Lowest, Highest);
        if (_counts.Length == 0)
        {
            _offset = index;
            _counts = new long[1];
        }
        else if (index < _offset)
        {
            var grown = new long[_counts.Length + _offset - index];
            _counts.CopyTo(grown, _offset - index);
            (_counts, _offset) = (grown, index);
        }
        else if (index >= _offset + _counts.Length)
        {
            Array.Resize(ref _counts, index - _offset + 1);
        }

        _counts[index - _offset] += count;
        Total += count;
    }

    public void Add(BucketCounts other)
    {
        for (var i = 0; i < other._counts.Length; i++)
        {
            Add(other._offset + i, other._counts[i]);
        }
    }

    /// <summary>The duration in seconds that <paramref name="share"/> (0–1) of all stay under, interpolated within its bucket; 0 when there are none.</summary>
    public double Quantile(double share)
    {
        var rank = share * Total;
        double before = 0;
        for (var i = 0; i < _counts.Length; i++)
        {
            if (_counts[i] > 0 && before + _counts[i] >= rank)
            {
                // Buckets are equally wide in the exponent, so that is where to interpolate.
                return Math.Pow(2, (_offset + i + ((rank - before) / _counts[i])) / 16.0);
            }

            before += _counts[i];
        }

        return 0;
    }
}
