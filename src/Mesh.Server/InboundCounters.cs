using System.Diagnostics.Metrics;
using Mesh.Telemetry;

namespace Mesh.Server;

/// <summary>Counts the requests whose caller did not wait for the end.</summary>
internal sealed class InboundCounters : IDisposable
{
    private readonly Meter _meter;
    private readonly Counter<long> _deadlineExceeded;
    private readonly Counter<long> _cancelled;

    public InboundCounters(IMeterFactory meters)
    {
        _meter = meters.Create(new MeterOptions("Mesh"));
        _deadlineExceeded = _meter.CreateCounter<long>(MeshTags.ServerDeadlineExceeded, "{request}", "Requests whose deadline was over before their answer was complete.");
        _cancelled = _meter.CreateCounter<long>(MeshTags.ServerCancelled, "{request}", "Requests whose caller left before their answer was complete.");
    }

    public void DeadlineExceeded() => _deadlineExceeded.Add(1);

    public void Cancelled() => _cancelled.Add(1);

    public void Dispose() => _meter.Dispose();
}
