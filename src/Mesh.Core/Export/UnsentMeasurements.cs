using Mesh.Telemetry;

namespace Mesh.Export;

/// <summary>A message of measurements: sent again it has the same number and the same points, so that whoever took it already knows it.</summary>
/// <param name="Number">Counts the messages of a run, from 1.</param>
/// <param name="Points">What has to arrive.</param>
/// <param name="Gauges">What is true now only; not sent again.</param>
internal sealed record MeasurementMessage(long Number, IReadOnlyList<PendingPoint> Points, IReadOnlyList<PendingPoint> Gauges);

/// <summary>What the control plane has not got, or has not said that it has. Owned by the exporter's loop.</summary>
/// <remarks>
/// What is counted while nothing gets through is added up by series. The one message of which no answer came is left as it was, for it may have been taken: an outage of any length costs two points per series.
/// </remarks>
internal sealed class UnsentMeasurements
{
    private readonly Dictionary<object, PendingPoint> _points = [];
    private MeasurementMessage? _inDoubt;
    private long _numbers;

    public int Count => _points.Count + (_inDoubt?.Points.Count ?? 0);

    public void Add(MetricSeries series, DurationDelta delta, Exemplar? exemplar, DateTimeOffset from, DateTimeOffset to)
    {
        if (!_points.TryGetValue(series, out var point))
        {
            _points.Add(series, point = new PendingDurations(series, from, delta.Counts.Count));
        }

        ((PendingDurations)point).Add(delta, exemplar, to);
    }

    public void Add(CounterTotal series, long count, DateTimeOffset from, DateTimeOffset to)
    {
        if (!_points.TryGetValue(series, out var point))
        {
            _points.Add(series, point = new PendingCount(series, from));
        }

        ((PendingCount)point).Add(count, to);
    }

    /// <summary>What is to be sent next: the message in doubt, else one of what waits and of these gauges. Null when there is nothing. It is in doubt until <see cref="Taken"/>.</summary>
    /// <param name="gauges">Those that find room in it are taken out.</param>
    /// <param name="most">Points of one message.</param>
    public MeasurementMessage? Next(Queue<PendingPoint> gauges, int most)
    {
        if (_inDoubt is { } again)
        {
            return again;
        }

        if (_points.Count + gauges.Count == 0)
        {
            return null;
        }

        List<PendingPoint> points = [], now = [];
        foreach (var (series, point) in _points)
        {
            if (points.Count == most)
            {
                break;
            }

            points.Add(point);
            _points.Remove(series);
        }

        while (points.Count + now.Count < most && gauges.TryDequeue(out var gauge))
        {
            now.Add(gauge);
        }

        var next = new MeasurementMessage(++_numbers, points, now);
        _inDoubt = points.Count == 0 ? null : next with { Gauges = [] };
        return next;
    }

    /// <summary>A message without measurements, for what it says beside them.</summary>
    public MeasurementMessage Empty() => new(++_numbers, [], []);

    /// <summary>The control plane has it.</summary>
    public void Taken() => _inDoubt = null;

    /// <summary>Something waits beside the message that was given last.</summary>
    public bool HasMore => _points.Count > 0;

    /// <summary>Gives up what began before.</summary>
    /// <returns>How many points, and the time that they are about.</returns>
    public (int Points, DateTimeOffset From, DateTimeOffset To) DropBefore(DateTimeOffset oldest)
    {
        var (count, from, to) = (0, DateTimeOffset.MaxValue, DateTimeOffset.MinValue);
        foreach (var (series, point) in _points)
        {
            if (IsOld(point))
            {
                _points.Remove(series);
            }
        }

        if (_inDoubt is { } message && message.Points.Any(p => p.Start < oldest))
        {
            List<PendingPoint> left = [.. message.Points.Where(p => !IsOld(p))];
            _inDoubt = left.Count == 0 ? null : message with { Points = left };
        }

        return (count, from, to);

        bool IsOld(PendingPoint point)
        {
            if (point.Start >= oldest)
            {
                return false;
            }

            (count, from, to) = (count + 1, point.Start < from ? point.Start : from, point.End > to ? point.End : to);
            return true;
        }
    }
}
