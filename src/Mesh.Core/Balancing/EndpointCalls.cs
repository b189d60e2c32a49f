namespace Mesh.Balancing;

/// <summary>How an endpoint's calls ended since it was last looked at. Thread-safe, without a lock.</summary>
internal sealed class EndpointCalls
{
    private const int FailureShift = 32;

    // Failures in the upper half, successes in the lower: one write counts, one takes both. Room for 4 billion calls within an interval.
    private long _counts;

    public void Count(bool failed) => Interlocked.Add(ref _counts, failed ? 1L << FailureShift : 1);

    /// <summary>What was counted; counting begins anew.</summary>
    public (long Successes, long Failures) Take()
    {
        var counts = (ulong)Interlocked.Exchange(ref _counts, 0);
        return ((long)(counts & uint.MaxValue), (long)(counts >> FailureShift));
    }
}
