using System.Collections.Frozen;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>What this control plane was told, by slots of time: 6 h by 10 s and 7 days by 5 min, beside the sums since its start. Bounded. Thread-safe.</summary>
/// <remarks>
/// What comes in is added to <see cref="OpenSlots"/> in memory; <see cref="Flush()"/> moves them every 10 s into the file that <see cref="SlotHistory"/> keeps. A report is about the
/// time before it came, as long as it says: a length and no time of day, so that the clocks of workloads do not matter.
/// </remarks>
internal sealed class GoldenStore : IDisposable
{
    private readonly TimeProvider _time;
    private readonly GoldenLimits _limits;
    private readonly DateTimeOffset _started;

    // Taken before _lock, never after it.
    private readonly Lock _fileLock = new();
    private readonly SlotHistory _history;
    private readonly SlotFold[] _folds;
    private readonly GapLog _gaps;

    private readonly Lock _lock = new();
    private readonly SeriesTable _series;
    private readonly HashSet<Caller> _reporters = [];
    private readonly List<Caller> _newReporters = [];
    private readonly OpenSlots _open;
    private long _dropped;

    public GoldenStore(TimeProvider time)
        : this(time, new MemorySlots(), GoldenLimits.Default)
    {
    }

    public GoldenStore(TimeProvider time, ISlotFile file, GoldenLimits limits)
    {
        (_time, _limits, _started) = (time, limits, time.GetUtcNow());
        _series = new SeriesTable(limits.MaxSeries);
        var saved = file.Load();
        _series.Restore(saved.Series);
        _reporters.UnionWith(saved.Reporters);
        _open = new OpenSlots(saved.Rolled);
        _folds = SlotFold.OfDocuments(_series);
        _history = new SlotHistory(file, _open, _folds, limits.MaxBytes);
        _gaps = new GapLog(saved.Gaps);
        if (saved.BrokenOffAt is { } at)
        {
            var until = at + Slots.Fine;
            _gaps.Add(new MissingTime(at, until < _started ? until : _started, "control plane", "It was ended without its last write: what workloads had told it since the write before, at most 10 s, is lost."));
        }

        file.Write(new SlotBatch([]) { At = _started });
    }

    /// <summary>Points that did not fit because too many series are known.</summary>
    public long Dropped => Interlocked.Read(ref _dropped);

    public GapLog Gaps => _gaps;

    /// <summary>Connections that are open now.</summary>
    public OpenConnections Open { get; } = new();

    /// <summary>Parts of slots that could not be read.</summary>
    public long Damaged => _history.Damaged;

    /// <summary>When this process began to count.</summary>
    public DateTimeOffset Started => _started;

    public GoldenFill Fill
    {
        get
        {
            lock (_fileLock)
            {
                lock (_lock)
                {
                    return new GoldenFill(_history.Kind, _history.Bytes, _limits.MaxBytes, _series.Count, _series.Max, _series.Overflowed, _history.Oldest(_started));
                }
            }
        }
    }

    /// <summary>This caller reports its calls itself: what others witnessed of them no longer counts. Bounded by the identities that the authority issued.</summary>
    public void AddReporter(Caller caller)
    {
        lock (_lock)
        {
            if (_reporters.Add(caller))
            {
                _newReporters.Add(caller);
            }
        }
    }

    /// <summary>Adds what was counted in the time before now.</summary>
    /// <param name="took">How long was counted: after an outage up to minutes come at once. Zero: just now.</param>
    /// <param name="owner">Who tells; null is nobody who could take too much.</param>
    public void Add(in SeriesKey key, Measure measure, TimeSpan took = default, SpiffeId? owner = null)
    {
        if (measure.Count == 0)
        {
            return;
        }

        var now = _time.GetUtcNow();
        var from = now - (took < GoldenLimits.LongestTook ? took : GoldenLimits.LongestTook);
        var shares = MeasureSpread.Over(from, now, measure);
        lock (_lock)
        {
            if (_series.Get(key, now, owner) is not { } series)
            {
                Interlocked.Increment(ref _dropped);
                return;
            }

            series.First = from < series.First ? from : series.First;
            series.Totals.Add(measure, measure.Count, measure.Durations);
            _open.Add(series.Id, measure, shares);
        }
    }

    /// <summary>Moves what came in since the last time into the file, sums up what is old, forgets what is older.</summary>
    public void Flush() => Flush(isLast: false);

    /// <param name="step">Null: all of the time together.</param>
    /// <param name="plan">Which slots it was answered from; null: since the start.</param>
    public GoldenPart Read(GoldenQuery query, TimeSpan? step, out GoldenPlan? plan)
    {
        plan = query.IsSinceStart ? null : Plan(query.From, query.To, step);
        return plan is null ? ReadTotals(query) : Read(query, plan);
    }

    /// <summary>Answers from these slots.</summary>
    public GoldenPart Read(GoldenQuery query, GoldenPlan plan)
    {
        var groups = new GoldenGroups(query, plan.Steps);
        lock (_fileLock)
        {
            if (Array.Find(_folds, f => f.Answers(query)) is { } fold)
            {
                var folded = new FoldedItems(fold, groups);
                _history.Walk(plan, folded);
                lock (_lock)
                {
                    folded.Cover();
                    AddOpen(groups);
                    return PartLocked(groups.Items, plan.From, plan.To);
                }
            }

            return ReadInFullLocked(groups, plan);
        }
    }

    /// <summary>Answers from every count of these slots: what <see cref="Read(GoldenQuery, GoldenPlan)"/> has to say as well.</summary>
    internal GoldenPart ReadInFull(GoldenQuery query, GoldenPlan plan)
    {
        lock (_fileLock)
        {
            return ReadInFullLocked(new GoldenGroups(query, plan.Steps), plan);
        }
    }

    /// <summary>What the mesh decided on its own account.</summary>
    public IReadOnlyList<DecisionCount> Decisions(GoldenPlan plan)
    {
        var counts = new Dictionary<SeriesKey, SeriesCounts>();
        lock (_fileLock)
        {
            _history.Walk(plan, (id, _) => _series.ById(id) is not { Key.IsDecision: true } series ? null
                : counts.TryGetValue(series.Key, out var sum) ? sum : counts[series.Key] = new SeriesCounts());
        }

        return
        [
            .. from one in counts
               let key = one.Key
               where one.Value.Good > 0
               select new DecisionCount(key.Source, key.SourceNamespace, key.Kind == SeriesKind.ClientDecision ? "client" : "server", key.Route, key.Backend, key.Destination, key.DestinationNamespace, one.Value.Good),
        ];
    }

    /// <summary>How whole an answer about these slots is, without the answer.</summary>
    public GoldenPart About(GoldenPlan plan)
    {
        lock (_fileLock)
        {
            lock (_lock)
            {
                return PartLocked([], plan.From, plan.To);
            }
        }
    }

    /// <summary>Which slots are asked for these ends.</summary>
    public GoldenPlan Plan(DateTimeOffset from, DateTimeOffset to, TimeSpan? step)
    {
        lock (_fileLock)
        {
            return GoldenPlan.Of(from, to, step, _history.FineFrom(_time.GetUtcNow()));
        }
    }

    public void Dispose()
    {
        Flush(isLast: true);
        _history.Dispose();
    }

    private void Flush(bool isLast)
    {
        lock (_fileLock)
        {
            var now = _time.GetUtcNow();
            IReadOnlyDictionary<(SlotTier Tier, long Slot), Dictionary<int, SeriesCounts>> closing;
            SlotBatch batch;
            lock (_lock)
            {
                _series.Forget(now - GoldenLimits.CoarseKept);
                closing = _open.Take();
                batch = new SlotBatch([])
                {
                    Series = [.. SeenAgainLocked(now)],
                    GoneSeries = _series.TakeGone(),
                    Reporters = [.. _newReporters],
                };
                _newReporters.Clear();
            }

            var parts = closing.Where(s => s.Value.Count > 0).Select(s => new SlotPart(s.Key.Tier, s.Key.Slot, SlotCodec.Encode(s.Value))).ToList();
            _history.Write(batch with { Parts = parts, Gaps = _gaps.TakeChanged(now - GoldenLimits.CoarseKept), At = now, IsLast = isLast });
            if (!isLast)
            {
                _history.Age(now);
            }
        }
    }

    private IEnumerable<SavedSeries> SeenAgainLocked(DateTimeOffset now)
    {
        foreach (var series in _series.All)
        {
            if (series.Seen - series.SavedSeen >= TimeSpan.FromHours(1))
            {
                series.SavedSeen = series.Seen;
                yield return new SavedSeries(series.Id, series.Key, series.Seen);
            }
        }
    }

    private GoldenPart ReadInFullLocked(GoldenGroups groups, GoldenPlan plan)
    {
        _history.Walk(plan, (id, slot) => _series.ById(id) is { } series && groups.ItemOf(series) is { } item && GoldenCell.PartOf(series.Key.Kind) is { } part ? item.At(plan.StepOf(slot)).Of(part) : null);
        lock (_lock)
        {
            foreach (var series in _series.All)
            {
                groups.Has(series.Id)?.Cover(series.First, series.Seen);
            }

            AddOpen(groups);
            return PartLocked(groups.Items, plan.From, plan.To);
        }
    }

    private GoldenPart ReadTotals(GoldenQuery query)
    {
        var groups = new GoldenGroups(query, steps: 1);
        lock (_fileLock)
        {
            lock (_lock)
            {
                foreach (var series in _series.All)
                {
                    if (series.Totals.Total > 0 && groups.ItemOf(series) is { } item && GoldenCell.PartOf(series.Key.Kind) is { } part)
                    {
                        item.At(0).Of(part).Add(series.Totals);
                        item.Cover(series.First, series.Seen);
                    }
                }

                AddOpen(groups);
                return PartLocked(groups.Items, _started, _time.GetUtcNow());
            }
        }
    }

    private void AddOpen(GoldenGroups groups)
    {
        foreach (var (key, open) in Open.All(_time.GetUtcNow()))
        {
            if (groups.Find(key) is { } item)
            {
                item.OpenConnections += open;
            }
        }
    }

    private GoldenPart PartLocked(IEnumerable<PartItem> items, DateTimeOffset from, DateTimeOffset to) =>
        new(_time.GetUtcNow(), _history.Oldest(_started), _history.Kind, _gaps.Between(from, to), _reporters.ToFrozenSet(), [.. items]);
}
