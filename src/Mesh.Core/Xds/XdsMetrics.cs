using System.Diagnostics.Metrics;
using Mesh.Telemetry;
using Mesh.Xds.Decoding;

namespace Mesh.Xds;

/// <summary>Counts what the control plane sends and how it is received (gRFC A78, and our own). Written by the client's loop, read by anybody.</summary>
internal sealed class XdsMetrics
{
    private readonly TimeProvider _time;
    private readonly string _server;
    private readonly Counter<long> _updates;
    private readonly Counter<long> _failures;
    private readonly Counter<long> _valid;
    private readonly Counter<long> _invalid;
    private (string Type, string State, int Count)[] _resources = [];
    private long _lostAt;
    private bool _failed;
    private volatile bool _connected;

    /// <param name="server">Address of the control plane.</param>
    public XdsMetrics(IMeterFactory meters, string server, TimeProvider time)
    {
        (_server, _time, _lostAt) = (server, time, time.GetTimestamp());
        var meter = meters.Create(new MeterOptions(CounterTotals.MeterName));
        _updates = meter.CreateCounter<long>(MeshTags.XdsUpdates, "{update}", "Answers of the control plane: taken over (ack) or refused whole or in part (nack).");
        _failures = meter.CreateCounter<long>(GrpcTags.XdsServerFailure, "{failure}", "How often the control plane went from healthy to not.");
        _valid = meter.CreateCounter<long>(GrpcTags.XdsUpdatesValid, "{resource}", "Resources received that were valid, changed or not.");
        _invalid = meter.CreateCounter<long>(GrpcTags.XdsUpdatesInvalid, "{resource}", "Resources received that were not valid.");
        meter.CreateObservableGauge(MeshTags.XdsStaleness, Staleness, "s", "How long no stream to the control plane has stood; 0 while one stands. Configuration that is held stays in use.");
        meter.CreateObservableGauge(GrpcTags.XdsConnected, Connected, "{bool}", "Whether there is a working stream to the control plane.");
        meter.CreateObservableGauge(GrpcTags.XdsResources, Resources, "{resource}", "Resources asked for, by what is known of them.");
    }

    /// <summary>A stream was opened: until it fails it counts as working, unless the last one failed.</summary>
    public void Opened() => _connected = !_failed;

    /// <summary>A stream ended.</summary>
    /// <param name="answered">Something came on it.</param>
    public void Lost(bool answered)
    {
        if (Volatile.Read(ref _lostAt) == long.MaxValue)
        {
            Volatile.Write(ref _lostAt, _time.GetTimestamp());
        }

        if (answered)
        {
            return;
        }

        _connected = false;
        if (!_failed)
        {
            _failed = true;
            _failures.Add(1, new(GrpcTags.Target, GrpcTags.WholeProcess), new(GrpcTags.XdsServer, _server));
        }
    }

    /// <summary>Something came.</summary>
    public void Answered()
    {
        (_failed, _connected) = (false, true);
        Volatile.Write(ref _lostAt, long.MaxValue);
    }

    public void Took(string typeUrl, bool valid) => (valid ? _valid : _invalid).Add(
        1, new(GrpcTags.Target, GrpcTags.WholeProcess), new(GrpcTags.XdsServer, _server), new(GrpcTags.XdsResourceType, Short(typeUrl)));

    public void Updated(string typeUrl, bool ack) => _updates.Add(1, new(MeshTags.XdsType, Word(typeUrl)), new(MeshTags.XdsAnswer, ack ? "ack" : "nack"));

    /// <summary>What is held now.</summary>
    public void Hold(IEnumerable<XdsTypeState> types) => Volatile.Write(
        ref _resources,
        [.. types.SelectMany(t => t.Resources.Values.GroupBy(StateOf).Select(g => (Short(t.Url), g.Key, g.Count())))]);

    private double Staleness() => Volatile.Read(ref _lostAt) is var lost && lost == long.MaxValue ? 0 : _time.GetElapsedTime(lost).TotalSeconds;

    private Measurement<long> Connected() => new(_connected ? 1 : 0, new(GrpcTags.Target, GrpcTags.WholeProcess), new(GrpcTags.XdsServer, _server));

    private IEnumerable<Measurement<long>> Resources() => Volatile.Read(ref _resources).Select(r => new Measurement<long>(
        r.Count, new(GrpcTags.Target, GrpcTags.WholeProcess), new(GrpcTags.XdsAuthority, "#old"), new(GrpcTags.XdsCacheState, r.State), new(GrpcTags.XdsResourceType, r.Type)));

    private static string StateOf(XdsResource resource) => resource.Status switch
    {
        XdsResourceStatus.Requested => "requested",
        XdsResourceStatus.DoesNotExist => "does_not_exist",
        XdsResourceStatus.Acked => "acked",
        XdsResourceStatus.Nacked => resource.Model is null ? "nacked" : "nacked_but_cached",
        _ => resource.Model is null ? "received_error" : "received_error_but_cached",
    };

    private static string Short(string typeUrl) => typeUrl[(typeUrl.IndexOf('/', StringComparison.Ordinal) + 1)..];

    private static string Word(string typeUrl) => typeUrl switch
    {
        XdsTypes.Listener => "listener",
        XdsTypes.RouteConfiguration => "route",
        XdsTypes.Cluster => "cluster",
        XdsTypes.ClusterLoadAssignment => "endpoints",
        XdsTypes.LeafPolicy => "leaf_policy",
        XdsTypes.TrustBundle => "trust_bundle",
        _ => MeshTags.Other,
    };
}
