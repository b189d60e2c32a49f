using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace Mesh.Telemetry;

/// <summary>Connections whose bytes are no HTTP: how many began, how many are open, and what goes over them, by who speaks with whom. Thread-safe.</summary>
internal sealed class ConnectionPairs : IDisposable
{
    private readonly ConcurrentDictionary<ConnectionPair, int> _open = new();
    private readonly Meter _meter;
    private readonly Counter<long> _clientBytes;
    private readonly Counter<long> _serverBytes;
    private readonly Counter<long> _clientOpened;
    private readonly Counter<long> _serverOpened;

    public ConnectionPairs(IMeterFactory meters)
    {
        _meter = meters.Create(new MeterOptions(CounterTotals.MeterName));
        _clientBytes = _meter.CreateCounter<long>(MeshTags.ClientConnectionIo, "By", "Bytes of connections out that are no HTTP, while they are carried.");
        _serverBytes = _meter.CreateCounter<long>(MeshTags.ServerConnectionIo, "By", "Bytes of connections in that are no HTTP, while they are carried.");
        _clientOpened = _meter.CreateCounter<long>(MeshTags.ClientConnectionOpened, "{connection}", "Connections out whose bytes are no HTTP, that began.");
        _serverOpened = _meter.CreateCounter<long>(MeshTags.ServerConnectionOpened, "{connection}", "Connections in whose bytes are no HTTP, that began.");
        _meter.CreateObservableGauge(MeshTags.ClientConnectionOpen, () => Open(inbound: false), "{connection}", "Open connections out whose bytes are no HTTP.");
        _meter.CreateObservableGauge(MeshTags.ServerConnectionOpen, () => Open(inbound: true), "{connection}", "Open connections in whose bytes are no HTTP.");
    }

    public ConnectionMeter Begin(ConnectionPair pair)
    {
        _open.AddOrUpdate(pair, 1, static (_, count) => count + 1);
        (pair.IsInbound ? _serverOpened : _clientOpened).Add(1, pair.Tags(null));
        return new ConnectionMeter(this, pair);
    }

    /// <inheritdoc/>
    public void Dispose() => _meter.Dispose();

    internal void Count(in ConnectionPair pair, long bytes, KeyValuePair<string, object?>[] tags) => (pair.IsInbound ? _serverBytes : _clientBytes).Add(bytes, tags);

    internal void Ended(in ConnectionPair pair)
    {
        if (_open.AddOrUpdate(pair, 0, static (_, count) => count - 1) == 0)
        {
            // Who began one meanwhile has counted it up again.
            _open.TryRemove(KeyValuePair.Create(pair, 0));
        }
    }

    private IEnumerable<Measurement<long>> Open(bool inbound) => _open.Where(o => o.Key.IsInbound == inbound).Select(o => new Measurement<long>(o.Value, o.Key.Tags(null)));
}

/// <summary>Who speaks with whom over a connection whose bytes are no HTTP.</summary>
internal readonly record struct ConnectionPair(bool IsInbound, string Source, string SourceNamespace, string Destination, string DestinationNamespace, bool IsMesh)
{
    /// <param name="direction">As this workload sees it; null is none.</param>
    public KeyValuePair<string, object?>[] Tags(string? direction)
    {
        KeyValuePair<string, object?>[] tags =
        [
            new(MeshTags.Source, Source), new(MeshTags.SourceNamespace, SourceNamespace), new(MeshTags.Destination, Destination), new(MeshTags.DestinationNamespace, DestinationNamespace),
            new(MeshTags.Tls, IsMesh ? "mesh" : "none"),
        ];
        return direction is null ? tags : [.. tags, new(MeshTags.IoDirection, direction)];
    }
}

/// <summary>Counts the bytes of one connection while they are carried. Made at its begin, disposed at its end.</summary>
internal sealed class ConnectionMeter(ConnectionPairs pairs, ConnectionPair pair) : IDisposable
{
    private readonly KeyValuePair<string, object?>[] _forth = pair.Tags(pair.IsInbound ? "receive" : "transmit");
    private readonly KeyValuePair<string, object?>[] _back = pair.Tags(pair.IsInbound ? "transmit" : "receive");
    private int _ended;

    /// <summary>From who called to who was called.</summary>
    public void Forth(int bytes) => pairs.Count(pair, bytes, _forth);

    /// <summary>The other way.</summary>
    public void Back(int bytes) => pairs.Count(pair, bytes, _back);

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _ended, 1) == 0)
        {
            pairs.Ended(pair);
        }
    }
}
