using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace Mesh.Telemetry;

/// <summary>Adds up what the meter <c>Mesh</c> counts, for hosts without a metrics SDK. Thread-safe.</summary>
/// <remarks>While one lives the counters are on, which costs a look-up per count. Series are capped per counter; what does not fit is counted in one with the tag <c>otel.metric.overflow</c>.</remarks>
internal sealed class CounterTotals : IDisposable
{
    /// <summary>Most series of one counter.</summary>
    public const int MaxSeries = 500;

    private readonly ConcurrentDictionary<Instrument, ConcurrentDictionary<string, CounterTotal>> _totals = new();
    private readonly MeterListener _listener = new();

    /// <param name="meterName">Tests look at one of their own.</param>
    public CounterTotals(string meterName = "Mesh")
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument is Counter<long> && instrument.Meter.Name == meterName)
            {
                listener.EnableMeasurementEvents(instrument, _totals.GetOrAdd(instrument, _ => new(StringComparer.Ordinal)));
            }
        };
        _listener.SetMeasurementEventCallback<long>(Add);
        _listener.Start();
    }

    /// <summary>Every series, in no order; two objects that count the same are one.</summary>
    public IEnumerable<CounterTotal> All => _totals.Values.SelectMany(s => s).GroupBy(s => s.Key, StringComparer.Ordinal)
        .Select(g => new CounterTotal(g.First().Value, g.Sum(s => s.Value.Total)));

    /// <inheritdoc/>
    public void Dispose() => _listener.Dispose();

    private static void Add(Instrument instrument, long value, ReadOnlySpan<KeyValuePair<string, object?>> tags, object? state)
    {
        var series = (ConcurrentDictionary<string, CounterTotal>)state!;
        var key = Key(instrument.Name, tags);
        if (!series.TryGetValue(key, out var total))
        {
            var fits = series.Count < MaxSeries;
            total = fits ? series.GetOrAdd(key, new CounterTotal(instrument, Copy(tags))) : series.GetOrAdd(instrument.Name + "\n\n", _ => new CounterTotal(instrument, [new("otel.metric.overflow", "true")]));
        }

        total.Add(value);
    }

    private static KeyValuePair<string, string>[] Copy(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var copy = new KeyValuePair<string, string>[tags.Length];
        for (var i = 0; i < tags.Length; i++)
        {
            copy[i] = new(tags[i].Key, tags[i].Value?.ToString() ?? string.Empty);
        }

        return copy;
    }

    private static string Key(string name, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var key = new System.Text.StringBuilder(name);
        foreach (var (tag, value) in tags)
        {
            key.Append('\n').Append(tag).Append('=').Append(value);
        }

        return key.ToString();
    }
}

/// <summary>One series of a counter. Thread-safe.</summary>
internal sealed class CounterTotal(string name, string unit, string description, IReadOnlyList<KeyValuePair<string, string>> tags)
{
    private long _total;

    public CounterTotal(Instrument instrument, IReadOnlyList<KeyValuePair<string, string>> tags)
        : this(instrument.Name, instrument.Unit ?? string.Empty, instrument.Description ?? string.Empty, tags)
    {
    }

    public CounterTotal(CounterTotal like, long total)
        : this(like.Name, like.Unit, like.Description, like.Tags) => _total = total;

    public string Name => name;

    public string Unit => unit;

    public string Description => description;

    public IReadOnlyList<KeyValuePair<string, string>> Tags => tags;

    public long Total => Interlocked.Read(ref _total);

    public void Add(long value) => Interlocked.Add(ref _total, value);
}
