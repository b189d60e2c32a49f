using System.Diagnostics.Metrics;
using Mesh.Telemetry;

namespace Mesh.Transparent;

/// <summary>Counts what only a proxy does. Thread-safe.</summary>
internal sealed class SidecarMetrics : IDisposable
{
    public const string Connections = "mesh.proxy.connections";
    public const string DetectionTimeouts = "mesh.proxy.detection_timeouts";
    public const string Refused = "mesh.proxy.connections_refused";
    public const string Io = "mesh.proxy.io";
    public const string Protocol = "network.protocol.name";
    private readonly Meter _meter;
    private readonly Counter<long> _connections;
    private readonly Counter<long> _timeouts;
    private readonly Counter<long> _refused;
    private readonly Counter<long> _io;

    public SidecarMetrics(IMeterFactory meters)
    {
        _meter = meters.Create(new MeterOptions("Mesh"));
        _connections = _meter.CreateCounter<long>(Connections, "{connection}", "Connections by what their first bytes were.");
        _timeouts = _meter.CreateCounter<long>(DetectionTimeouts, "{connection}", "Connections whose protocol did not show in time: they were carried as bytes.");
        _refused = _meter.CreateCounter<long>(Refused, "{connection}", "Connections that were closed at once, and why.");
        Pairs = new ConnectionPairs(meters);
        _io = _meter.CreateCounter<long>(Io, "By", "Bytes carried of connections that are no HTTP.");
    }

    /// <summary>The same by who speaks with whom.</summary>
    public ConnectionPairs Pairs { get; }

    /// <param name="direction"><see cref="MeshTags.Inbound"/> or <see cref="MeshTags.Outbound"/>.</param>
    public void Detected(string direction, Detection.WireProtocol protocol) => _connections.Add(1, new(MeshTags.Direction, direction), new(Protocol, protocol switch
    {
        Detection.WireProtocol.Http1 => "http1",
        Detection.WireProtocol.Http2 => "http2",
        Detection.WireProtocol.Tls => "tls",
        Detection.WireProtocol.MeshTls => "mesh",
        _ => "opaque",
    }));

    public void DetectionTimedOut(string direction) => _timeouts.Add(1, new KeyValuePair<string, object?>(MeshTags.Direction, direction));

    /// <param name="reason">One of <see cref="RefusalReasons"/>.</param>
    public void ConnectionRefused(string direction, string reason) => _refused.Add(1, new(MeshTags.Direction, direction), new(MeshTags.Reason, reason));

    /// <param name="received">From the client.</param>
    /// <param name="transmitted">To the client.</param>
    public void Carried(string direction, long received, long transmitted)
    {
        _io.Add(received, new(MeshTags.Direction, direction), new(MeshTags.IoDirection, "receive"));
        _io.Add(transmitted, new(MeshTags.Direction, direction), new(MeshTags.IoDirection, "transmit"));
    }

    public void Dispose() => _meter.Dispose();
}

/// <summary>Why connections are closed at once.</summary>
internal static class RefusalReasons
{
    /// <summary>It called the proxy itself, or would come back to it.</summary>
    public const string Loop = "loop";

    /// <summary>It is not for this workload: no open relay.</summary>
    public const string NotOurs = "not_ours";

    /// <summary>Mesh TLS that came after bytes had gone to the client.</summary>
    public const string LateTls = "late_tls";

    /// <summary>Outside of the mesh, which is not allowed.</summary>
    public const string Egress = "egress";

    /// <summary>Denied by policy.</summary>
    public const string Policy = "policy";

    /// <summary>No configuration, no endpoint, or no connection to one.</summary>
    public const string Unavailable = "unavailable";

    /// <summary>As many destinations are in use as can be.</summary>
    public const string TooMany = "too_many";
}
