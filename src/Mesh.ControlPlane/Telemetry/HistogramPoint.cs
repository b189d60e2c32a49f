using Mesh.Protos.Otlp;
using Mesh.Telemetry;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>Reads the buckets of an exponential histogram into ours.</summary>
internal static class HistogramPoint
{
    private const int MaxBuckets = 1024;

    /// <returns>What is wrong with it; null: nothing.</returns>
    public static string? Read(ExponentialHistogramDataPoint point, BucketCounts into)
    {
        if (point.Scale is < DurationHistogram.Scale or > 20)
        {
            return $"histogram scale {point.Scale} is not {DurationHistogram.Scale} to 20";
        }

        if (point.Positive?.BucketCounts.Count > MaxBuckets)
        {
            return $"a histogram has {point.Positive.BucketCounts.Count} buckets; at most {MaxBuckets} are taken";
        }

        if (point.Count > int.MaxValue || point.ZeroCount > point.Count)
        {
            return $"a histogram counts {point.Count}; that is not one interval's";
        }

        // Finer histograms merge into ours: each step down in scale halves the index (OpenTelemetry data model).
        var shift = point.Scale - DurationHistogram.Scale;
        var left = point.Count;
        into.Add(BucketCounts.Lowest, (long)point.ZeroCount);
        left -= point.ZeroCount;
        for (var i = 0; i < (point.Positive?.BucketCounts.Count ?? 0); i++)
        {
            var count = point.Positive!.BucketCounts[i];
            if (count > left)
            {
                return $"a histogram's buckets hold more than its count {point.Count}";
            }

            left -= count;
            into.Add((int)Math.Clamp(((long)point.Positive.Offset + i) >> shift, int.MinValue, int.MaxValue), (long)count);
        }

        return left == 0 ? null : $"a histogram's buckets hold {left} less than its count {point.Count}";
    }
}
