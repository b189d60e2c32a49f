namespace Mesh.Testing.Simulation;

/// <summary>A hash over all that happened, in order: two runs with the same one did the same.</summary>
/// <remarks>FNV-1a over 64-bit words.</remarks>
internal sealed class Trace(VirtualTime time)
{
    public ulong Hash { get; private set; } = 14695981039346656037;

    public long Count { get; private set; }

    public void Add(TraceEvent what, long subject, long detail = 0)
    {
        Count++;
        Mix((ulong)time.Elapsed.Ticks);
        Mix((ulong)what);
        Mix((ulong)subject);
        Mix((ulong)detail);
    }

    private void Mix(ulong word) => Hash = (Hash ^ word) * 1099511628211;
}

/// <summary>What is worth tracing.</summary>
internal enum TraceEvent
{
    Call,
    CallEnded,
    Connected,
    ConnectFailed,
    Arrived,
    Answered,
    Cancelled,
    Reset,
    Killed,
}
