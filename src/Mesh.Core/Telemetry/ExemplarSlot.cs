using System.Buffers.Binary;
using System.Diagnostics;

namespace Mesh.Telemetry;

/// <summary>The latest sampled span that a series saw in an interval. Thread-safe; offering one takes no lock and allocates nothing.</summary>
/// <remarks>Its parts are written between two steps of a counter: a reader that sees it odd, or changed, reads again; a writer that finds another one writing lets it have its way.</remarks>
internal sealed class ExemplarSlot
{
    private int _version;
    private int _collected;
    private ulong _trace1;
    private ulong _trace2;
    private ulong _span;
    private long _duration;
    private long _at;

    public void Offer(Activity span, TimeSpan duration)
    {
        var version = Volatile.Read(ref _version);
        if ((version & 1) != 0 || Interlocked.CompareExchange(ref _version, version + 1, version) != version)
        {
            return;
        }

        Span<byte> id = stackalloc byte[16];
        span.TraceId.CopyTo(id);
        Volatile.Write(ref _trace1, BinaryPrimitives.ReadUInt64BigEndian(id));
        Volatile.Write(ref _trace2, BinaryPrimitives.ReadUInt64BigEndian(id[8..]));
        span.SpanId.CopyTo(id[..8]);
        Volatile.Write(ref _span, BinaryPrimitives.ReadUInt64BigEndian(id));
        Volatile.Write(ref _duration, duration.Ticks);
        // When it was measured, without asking a clock.
        Volatile.Write(ref _at, span.StartTimeUtc.Ticks + duration.Ticks);
        Volatile.Write(ref _version, version + 2);
    }

    /// <summary>The latest; null when there was none.</summary>
    public Exemplar? Latest
    {
        get
        {
            // A writer is done within a few instructions; one that was put to sleep costs its exemplar.
            for (var i = 0; i < 100; i++)
            {
                var version = Volatile.Read(ref _version);
                if (version == 0)
                {
                    return null;
                }

                var (trace1, trace2, span, duration, at) = (Volatile.Read(ref _trace1), Volatile.Read(ref _trace2), Volatile.Read(ref _span), Volatile.Read(ref _duration), Volatile.Read(ref _at));
                Interlocked.MemoryBarrier();
                if ((version & 1) == 0 && version == Volatile.Read(ref _version))
                {
                    return new Exemplar(trace1, trace2, span, TimeSpan.FromTicks(duration), new DateTimeOffset(at, TimeSpan.Zero)) { Version = version };
                }
            }

            return null;
        }
    }

    /// <summary>The latest since the last call; null when there was none. By one collector.</summary>
    public Exemplar? Collect()
    {
        if (Latest is not { } latest || latest.Version == _collected)
        {
            return null;
        }

        _collected = latest.Version;
        return latest;
    }
}

/// <summary>A measurement with the span that it was taken of.</summary>
/// <param name="At">When it was recorded.</param>
internal sealed record Exemplar(ulong Trace1, ulong Trace2, ulong Span, TimeSpan Duration, DateTimeOffset At)
{
    /// <summary>Tells it from other ones of its slot.</summary>
    internal int Version { get; init; }

    /// <summary>32 hexadecimal digits.</summary>
    public string TraceId => $"{Trace1:x16}{Trace2:x16}";

    /// <summary>16 hexadecimal digits.</summary>
    public string SpanId => $"{Span:x16}";

    public byte[] TraceBytes()
    {
        var bytes = new byte[16];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, Trace1);
        BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(8), Trace2);
        return bytes;
    }

    public byte[] SpanBytes()
    {
        var bytes = new byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, Span);
        return bytes;
    }
}
