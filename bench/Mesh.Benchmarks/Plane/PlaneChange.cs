using System.Diagnostics;
using System.Text;

namespace Mesh.Benchmarks.Plane;

/// <summary>One endpoint that came or went, and who has heard of it.</summary>
internal sealed class PlaneChange(string address, bool added, int watchers)
{
    /// <summary>Field 2 of SocketAddress: the address with its length before it, so that 10.0.0.1 is not found in 10.0.0.12.</summary>
    private readonly byte[] _written = [0x12, (byte)address.Length, .. Encoding.ASCII.GetBytes(address)];
    private int _waiting = watchers;
    private long _last;

    public string Address => address;

    public bool Added => added;

    /// <summary>When it was made: before the source was told.</summary>
    public long At { get; } = Stopwatch.GetTimestamp();

    public bool IsKnownToAll => Volatile.Read(ref _waiting) <= 0;

    /// <summary>Until the last client had it.</summary>
    public TimeSpan ToLast => Stopwatch.GetElapsedTime(At, Volatile.Read(ref _last));

    /// <summary>True when these endpoints are of after the change.</summary>
    public bool IsIn(ReadOnlySpan<byte> assignment) => assignment.IndexOf(_written) >= 0 == added;

    public void Arrived(long now)
    {
        if (Interlocked.Decrement(ref _waiting) == 0)
        {
            Volatile.Write(ref _last, now);
        }
    }
}
