using System.Diagnostics;

namespace Mesh.Benchmarks.Plane;

/// <summary>What all clients of a run saw. Thread-safe.</summary>
internal sealed class PlaneMeter(int samples)
{
    private readonly long[] _latencies = new long[samples];
    private int _count;
    private long _bytes;
    private long _asked;
    private long _responses;
    private long _resources;
    private long _refused;

    /// <summary>What the control plane sent: messages with their gRPC headers, before HTTP/2 and TLS.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>What clients sent, answers to responses included.</summary>
    public long Asked => Interlocked.Read(ref _asked);

    /// <summary>That came in all responses.</summary>
    public long Resources => Interlocked.Read(ref _resources);

    public long Responses => Interlocked.Read(ref _responses);

    /// <summary>Resources that a client could not take.</summary>
    public long Refused => Interlocked.Read(ref _refused);

    /// <summary>From change to one client, sorted.</summary>
    public double[] Latencies => [.. _latencies.Take(Math.Min(_count, _latencies.Length)).Select(t => Stopwatch.GetElapsedTime(0, t).TotalMilliseconds).Order()];

    public void Received(int bytes, int resources)
    {
        Interlocked.Add(ref _resources, resources);
        Interlocked.Add(ref _bytes, bytes);
        Interlocked.Increment(ref _responses);
    }

    public void Sent(int bytes) => Interlocked.Add(ref _asked, bytes);

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
