using System.Threading.Channels;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Tap;

/// <summary>Begins what somebody looks at. Thread-safe.</summary>
/// <param name="peers">Null: there are no other replicas.</param>
internal sealed class TapWatches(TapHub hub, IReplicaPeers? peers, TimeProvider time)
{
    /// <summary>Null when too many run.</summary>
    public TapWatch? Begin(TapQuestion question)
    {
        var events = Channel.CreateBounded<TapEvent>(TapWatch.MostWaiting);
        return hub.Begin(question, events.Writer) is { } run ? new TapWatch(run, events.Reader, events.Writer, question, peers, time) : null;
    }
}

/// <summary>One look at requests of the whole mesh: over the data planes that attend here, and through the other replicas over theirs. Used by one loop; ends with <see cref="DisposeAsync"/>.</summary>
internal sealed class TapWatch(TapRun run, ChannelReader<TapEvent> events, ChannelWriter<TapEvent> to, TapQuestion question, IReplicaPeers? peers, TimeProvider time) : IAsyncDisposable
{
    /// <summary>Events that wait to be read.</summary>
    public const int MostWaiting = 1024;

    private readonly Dictionary<string, RemoteWatch> _remote = new(StringComparer.Ordinal);
    private readonly HashSet<string> _said = new(StringComparer.Ordinal);
    private readonly AbsentPlanes _absent = new();
    private long _lastSeen;
    private long _lastAt;

    public ChannelReader<TapEvent> Events => events;

    public TapTotals Totals => _remote.Values.Aggregate(run.Totals, (all, r) => all.Plus(r.Totals));

    /// <summary>To be called each second.</summary>
    public async Task ArrangeAsync()
    {
        var others = peers?.Others ?? [];
        foreach (var gone in _remote.Keys.Where(n => !others.Any(o => o.Name == n)).ToList())
        {
            _said.Remove($"remote {gone}");
            _remote.Remove(gone, out var watch);
            await watch!.DisposeAsync();
        }

        var each = question.MaxPerSecond / (1 + others.Count);
        foreach (var other in others.Where(o => !_remote.ContainsKey(o.Name)))
        {
            _remote[other.Name] = new RemoteWatch(other.Name, Find, question, each, to, time);
        }

        RemoteWatch[] remote = [.. _remote.Values];
        var shares = Shares.Divide(question.MaxPerSecond, [Demand(), .. remote.Select(r => r.Demand)]);
        run.MaxPerSecond = shares[0];
        run.AttendElsewhere = [.. remote.SelectMany(r => r.Attending).Distinct(StringComparer.Ordinal)];
        run.Arrange();
        for (var i = 0; i < remote.Length; i++)
        {
            // Taken along by its next word.
            remote[i].MaxPerSecond = Math.Round(shares[i + 1], 1);
            remote[i].AttendElsewhere = [.. run.AttendHere.Concat(remote.Where(r => r != remote[i]).SelectMany(r => r.Attending)).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        }
    }

    /// <summary>What is to be said beside what is seen; each once, until it changes: also that it is over.</summary>
    public IReadOnlyList<string> TakeNotices()
    {
        var notices = new List<string>();
        foreach (var remote in _remote.Values)
        {
            Say(
                remote.Problem is not null, $"remote {remote.Name}", $"Replica {remote.Name} does not answer ({remote.Problem}): what attends there is not shown.", $"Replica {remote.Name} answers again.", notices);
        }

        // Of a replica that does not answer was said enough.
        notices.AddRange(_absent.Look(run.Asked.Concat(_remote.Values.SelectMany(r => r.Asked))));
        Say(Totals.DataPlanes == 0, "nobody",
            "No workload that attends can see such requests. Look at the names ('mesh stat'), at what is meshed ('mesh check'), and whether meshlib.io/disable-tap or Mesh:Tap=false forbids it.", null, notices);
        return notices;
    }

    public async ValueTask DisposeAsync()
    {
        run.Dispose();
        foreach (var remote in _remote.Values)
        {
            await remote.DisposeAsync();
        }
    }

    private ReplicaPeer? Find(string name) => peers?.Others.FirstOrDefault(o => o.Name == name);

    private double? Demand()
    {
        var (seen, now) = (run.Totals.Seen, time.GetTimestamp());
        double? demand = _lastAt == 0 || now <= _lastAt ? null : (seen - _lastSeen) / time.GetElapsedTime(_lastAt, now).TotalSeconds;
        (_lastSeen, _lastAt) = (seen, now);
        return demand;
    }

    /// <param name="over">Said when it no longer holds; null: nothing.</param>
    private void Say(bool holds, string key, string text, string? over, List<string> notices)
    {
        if ((holds ? _said.Add(key) : _said.Remove(key)) && (holds ? text : over) is { } said)
        {
            notices.Add(said);
        }
    }
}
