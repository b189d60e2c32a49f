using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace Mesh.Telemetry;

/// <summary>Adds up what the meter <c>Mesh</c> counts and reads its gauges, for the export to the control plane and for scrapes. Thread-safe.</summary>
/// <remarks>
/// While one lives the counters are on, which costs a look-up per count and no memory. Series are capped per counter; what does not fit is counted in one with the tag <c>otel.metric.overflow</c>.
/// </remarks>
internal sealed class CounterTotals : IDisposable
{
    /// <summary>Most series of one counter.</summary>
    public const int MaxSeries = 500;

    /// <summary>The meter of all of the mesh's own instruments.</summary>
    public const string MeterName = "Mesh";

    private readonly ConcurrentDictionary<Instrument, InstrumentTotals> _totals = new();
    private readonly MeterListener _listener = new();
    private readonly Lock _reading = new();

    // Guarded by _reading.
    private List<GaugeSample>? _samples;

    /// <param name="meterName">Tests look at one of their own.</param>
    /// <param name="meters">Null takes the meters of every factory: where several hosts share a process each must count its own.</param>
    /// <param name="time">Null is the system's.</param>
    public CounterTotals(string meterName = MeterName, IMeterFactory? meters = null, TimeProvider? time = null)
    {
        var clock = time ?? TimeProvider.System;
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name != meterName || (meters is not null && !ReferenceEquals(instrument.Meter.Scope, meters)))
            {
                return;
            }

            if (instrument is Counter<long> or ObservableCounter<long>)
            {
                listener.EnableMeasurementEvents(instrument, _totals.GetOrAdd(instrument, i => new InstrumentTotals(i, clock)));
            }
            else if (instrument is ObservableGauge<long> or ObservableGauge<double> or ObservableUpDownCounter<long>)
            {
                listener.EnableMeasurementEvents(instrument, this);
            }
        };
        _listener.SetMeasurementEventCallback<long>(Take);
        _listener.SetMeasurementEventCallback<double>(Take);
        _listener.Start();
    }

    /// <summary>By counter.</summary>
    public IEnumerable<InstrumentTotals> Counters => _totals.Values;

    /// <summary>Every series, in no order; two objects that count the same are one.</summary>
    public IEnumerable<CounterValue> All => _totals.Values.SelectMany(t => t.All)
        .GroupBy(t => t.Name + '\n' + string.Join('\n', t.Tags.Select(tag => tag.Key + '=' + tag.Value)), StringComparer.Ordinal)
        .Select(g => new CounterValue(g.First(), g.Sum(t => t.Total), g.Min(t => t.Start)));

    /// <summary>The gauges as they are now, and counters that are only known when they are asked.</summary>
    /// <param name="problem">What was thrown meanwhile: the samples that came are good.</param>
    public IReadOnlyList<GaugeSample> ReadGauges(out AggregateException? problem)
    {
        lock (_reading)
        {
            var samples = _samples = [];
            problem = null;
            try
            {
                _listener.RecordObservableInstruments();
            }
            catch (AggregateException e)
            {
                problem = e;
            }

            _samples = null;
            return samples;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _listener.Dispose();

    private static void Take(Instrument instrument, long value, ReadOnlySpan<KeyValuePair<string, object?>> tags, object? state)
    {
        if (state is InstrumentTotals totals)
        {
            totals.Add(value, tags, instrument.IsObservable);
        }
        else
        {
            Take(instrument, (double)value, tags, state);
        }
    }

    private static void Take(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags, object? state) =>
        ((CounterTotals)state!)._samples?.Add(new GaugeSample(instrument, TagText.Copy(tags), value));
}

/// <summary>One gauge under one set of tags, as it was read.</summary>
internal sealed record GaugeSample(Instrument Instrument, IReadOnlyList<KeyValuePair<string, string>> Tags, double Value);

/// <summary>What one series of a counter has counted.</summary>
/// <param name="Like">Name, unit and tags.</param>
/// <param name="Start">Since when.</param>
internal sealed record CounterValue(CounterTotal Like, long Total, DateTimeOffset Start)
{
    public string Name => Like.Name;

    public IReadOnlyList<KeyValuePair<string, string>> Tags => Like.Tags;
}
