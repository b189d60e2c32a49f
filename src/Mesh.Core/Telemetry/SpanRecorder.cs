using System.Diagnostics.Metrics;
using System.Threading.Channels;

namespace Mesh.Telemetry;

/// <summary>Decides which calls are traced, and holds spans that are over until they are sent. Thread-safe; a call that is not traced costs a comparison.</summary>
/// <remarks>
/// A call goes by its parent (W3C Trace Context §2.2.3); one without a parent by chance. Where the app has a tracer of its own, that one has decided already. Of a full queue the oldest spans are dropped.
/// </remarks>
internal sealed class SpanRecorder : IDisposable
{
    /// <summary>Spans that wait.</summary>
    public const int MaxWaiting = 2048;

    /// <summary>Spans per second that are kept only because a call failed or was slow: an outage must not flood anybody.</summary>
    public const int MaxLatePerSecond = 10;

    private readonly TraceSettings? _settings;
    private readonly TimeProvider _time;
    private readonly Random _chance;
    private readonly Meter _meter;
    private readonly Counter<long> _droppedCounter;
    private readonly Channel<FinishedSpan> _waiting;
    private long _second;
    private int _late;
    private long _dropped;

    /// <param name="settings">Null records nothing.</param>
    /// <param name="chance">Thread-safe.</param>
    /// <param name="meters">Null makes a meter of its own.</param>
    public SpanRecorder(TraceSettings? settings, TimeProvider time, Random chance, IMeterFactory? meters = null)
    {
        (_settings, _time, _chance) = (settings, time, chance);
        _meter = meters?.Create(new MeterOptions("Mesh")) ?? new Meter("Mesh");
        _droppedCounter = _meter.CreateCounter<long>(MeshTags.TracesDropped, "{span}", "Spans that did not get to the control plane.");
        _waiting = Channel.CreateBounded<FinishedSpan>(new BoundedChannelOptions(MaxWaiting) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true }, _ => Drop(1, "queue"));
    }

    public bool IsOn => _settings is not null;

    /// <inheritdoc cref="TraceSettings.ContinuesRequests"/>
    public bool ContinuesRequests => _settings is { ContinuesRequests: true };

    public ChannelReader<FinishedSpan> Waiting => _waiting.Reader;

    /// <summary>Since the start.</summary>
    public long Dropped => Interlocked.Read(ref _dropped);

    /// <summary>Whether a call is traced that belongs to no other.</summary>
    public bool WantsRoot() => _settings is { Ratio: > 0 and var ratio } && (ratio >= 1 || _chance.NextDouble() < ratio);

    /// <summary>Whether a call that was not traced is worth a span now that it is over.</summary>
    public bool WantsLate(bool failed, TimeSpan duration)
    {
        if (_settings is not { Failed: true } settings || !(failed || (settings.SlowerThan > TimeSpan.Zero && duration >= settings.SlowerThan)))
        {
            return false;
        }

        var second = _time.GetTimestamp() / _time.TimestampFrequency;
        if (Interlocked.Exchange(ref _second, second) != second)
        {
            // A race counts a few too many or too few.
            Volatile.Write(ref _late, 0);
        }

        return Interlocked.Increment(ref _late) <= MaxLatePerSecond;
    }

    /// <summary>Never waits.</summary>
    public void Record(FinishedSpan span) => _waiting.Writer.TryWrite(span);

    /// <param name="reason"><c>queue</c>, <c>refused</c> or <c>unsupported</c>.</param>
    public void Drop(long count, string reason)
    {
        Interlocked.Add(ref _dropped, count);
        _droppedCounter.Add(count, new KeyValuePair<string, object?>(MeshTags.Reason, reason));
    }

    public void Dispose() => _meter.Dispose();
}
