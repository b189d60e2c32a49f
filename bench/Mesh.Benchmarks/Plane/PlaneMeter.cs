using System.Diagnostics;

namespace Mesh.Benchmarks.Plane;

/// <summary>What all clients of a run saw. Thread-safe.</summary>
internal sealed class PlaneMeter(int samples)
{
    private readonly long[] _latencies = new long[samples];
    private int _count;
    private long _bytes;
    private long _responses;
    private long _refused;

    public long Bytes => Interlocked.Read(ref _bytes);

    public long Responses => Interlocked.Read(ref _responses);

    /// <summary>Resources that a client could not take.</summary>
    public long Refused => Interlocked.Read(ref _refused);

    /// <summary>From change to one client, sorted.</summary>
    public double[] Latencies => [.. _latencies.Take(Math.Min(_count, _latencies.Length)).Select(t => Stopwatch.GetElapsedTime(0, t).TotalMilliseconds).Order()];

    public void Received(int bytes)
    {
        Interlocked.Add(ref _bytes, bytes);
        Interlocked.Increment(ref _responses);
    }

    public void CountRefused() => Interlocked.Increment(ref _refused);

    public void Arrived(PlaneChange change, long now)
    {
        change.Arrived(now);
        var at = Interlocked.Increment(ref _count) - 1;
        if (at < _latencies.Length)
        {
            _latencies[at] = now - change.At;
        }
    }
}
