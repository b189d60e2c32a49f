using System.Threading.Channels;
using Mesh.Protos.Tap;

namespace Mesh.ControlPlane.Tap;

/// <summary>The taps that run, and what data planes report for them.</summary>
internal sealed partial class TapHub
{
    /// <summary>At once, in this replica.</summary>
    public const int MostTaps = 8;

    private readonly Dictionary<string, TapRun> _runs = new(StringComparer.Ordinal);
    private volatile TapIndex? _index;

    /// <summary>Of the model in force.</summary>
    public TapIndex Index
    {
        get
        {
            var model = models.Current;
            var index = _index;
            return index is not null && index.IsOf(model) ? index : _index = new TapIndex(model);
        }
    }

    public ICollection<TapSession> Sessions => _sessions.Keys;

    /// <summary>Who reports its own calls, as namespace/service-account.</summary>
    public IEnumerable<string> Attending(TapIndex index) =>
        _sessions.Keys.Where(s => !s.RefusesTaps && !index.Forbids(s.Namespace, s.Account)).Select(s => $"{s.Namespace}/{s.Account}").Distinct(StringComparer.Ordinal);

    /// <summary>Null when too many run.</summary>
    /// <param name="to">Where events go; null: to <see cref="TapRun.Events"/>.</param>
    public TapRun? Begin(TapQuestion question, ChannelWriter<TapEvent>? to = null)
    {
        var run = new TapRun(Guid.NewGuid().ToString("N"), question, this, to, time);
        lock (_lock)
        {
            if (_runs.Count >= MostTaps)
            {
                return null;
            }

            _runs.Add(run.Id, run);
        }

        return run;
    }

    public void End(TapRun run)
    {
        lock (_lock)
        {
            _runs.Remove(run.Id);
        }
    }

    private void Take(TapSession session, TapReport report)
    {
        foreach (var exchange in report.Exchanges.Take(TapReportReader.MostExchanges))
        {
            Find(exchange.Tap)?.Take(session, exchange);
        }

        foreach (var stats in report.Stats.Take(MostTaps))
        {
            Find(stats.Tap)?.Take(session, stats);
        }

        if (report.Denials.Count > 0)
        {
            denials.Add(session.Workload, session.Namespace, report.Denials.Take(TapReportReader.MostDenials).Select(d => TapReportReader.Read(d, time.GetUtcNow())));
        }
    }

    private TapRun? Find(string id)
    {
        lock (_lock)
        {
            return _runs.GetValueOrDefault(id);
        }
    }
}
