using System.Collections.Immutable;
using System.Text.Json;
using Mesh.Concurrency;
using Mesh.ControlPlane.Model;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Xds;

/// <summary>Remembers which addresses a verified identity has served: on disk first, then in use. A mark is never taken back by a missing stream. Thread-safe.</summary>
internal sealed partial class MeshMarks : IMeshMarks, IAsyncDisposable
{
    /// <summary>Most addresses one identity can mark: bounds a workload that claims every port.</summary>
    public const int MaxPerIdentity = 2_000;

    /// <summary>How long a mark outlives its endpoint: it may be away for a while, and must not come back unmeshed.</summary>
    public static readonly TimeSpan LongestAbsence = TimeSpan.FromHours(24);

    private static readonly TimeSpan SweepInterval = TimeSpan.FromHours(1);
    private static readonly TimeSpan SaveAgainAfter = TimeSpan.FromSeconds(5);
    private const string FileName = "marks.json";
    private readonly DataFolder _data;
    private readonly AbsentMarks _absent;
    private readonly TimeProvider _time;
    private readonly ITimer _sweeps;
    private readonly ITimer _saveAgain;
    private readonly ILogger<MeshMarks> _logger;
    private readonly SerialLoop _loop;
    private readonly Published<Marks> _marks;
    private readonly Lock _lock = new();
    private HashSet<(string Id, string HostPort)> _pending = [];
    private Action? _changed;

    /// <exception cref="InvalidDataException">marks.json can't be read: serving without it could let clients fall back to plaintext.</exception>
    public MeshMarks(DataFolder data, AbsentMarks absent, TimeProvider time, ILogger<MeshMarks> logger)
    {
        (_data, _absent, _time, _logger) = (data, absent, time, logger);
        _marks = new Published<Marks>(new Marks(Load(data)));
        _loop = new SerialLoop(e => Log.MarksNotSaved(logger, e));
        _sweeps = time.CreateTimer(_ => _loop.Post(Sweep), null, SweepInterval, SweepInterval);
        _saveAgain = time.CreateTimer(_ => _loop.Post(Flush), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <inheritdoc/>
    public bool IsMeshed(string hostPort, SpiffeId id) => _marks.Current.ByIdentity.TryGetValue(id.ToString(), out var marks) && marks.Contains(hostPort);

    /// <summary>Called after new marks are in use.</summary>
    public void Subscribe(Action changed) => _changed += changed;

    /// <summary>Remembers a mark soon: marks that come together are written together.</summary>
    public void Record(string hostPort, SpiffeId id)
    {
        if (IsMeshed(hostPort, id))
        {
            return;
        }

        lock (_lock)
        {
            if (_pending.Count >= MaxPerIdentity * 10 || !_pending.Add((id.ToString(), hostPort)))
            {
                return;
            }
        }

        _loop.Post(Flush);
    }

    public async ValueTask DisposeAsync()
    {
        await _sweeps.DisposeAsync();
        await _saveAgain.DisposeAsync();
        await _loop.DisposeAsync();
    }

    private void Flush()
    {
        HashSet<(string Id, string HostPort)> pending;
        lock (_lock)
        {
            if (_pending.Count == 0)
            {
                return;
            }

            (pending, _pending) = (_pending, []);
        }

        var marks = _marks.Current.ByIdentity;
        List<AbsentMark>? absent = null;
        foreach (var (id, hostPort) in pending)
        {
            var known = marks.GetValueOrDefault(id, []);
            if (known.Count >= MaxPerIdentity)
            {
                // Room is made only by marks that stand for nothing.
                absent ??= _absent.Find(marks);
                var oldest = absent.FindIndex(a => a.Id == id);
                if (oldest >= 0)
                {
                    known = known.Remove(absent[oldest].HostPort);
                    absent.RemoveAt(oldest);
                }
            }

            if (known.Count < MaxPerIdentity)
            {
                marks = marks.SetItem(id, known.Add(hostPort));
            }
            else
            {
                Log.TooManyMarks(_logger, id, MaxPerIdentity, hostPort);
            }
        }

        try
        {
            Save(marks);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Nobody records them again while their streams stand: until they are saved their callers use plaintext.
            lock (_lock)
            {
                _pending.UnionWith(pending);
            }

            _saveAgain.Change(SaveAgainAfter, Timeout.InfiniteTimeSpan);
            throw;
        }

        _marks.Publish(new Marks(marks));
        _changed?.Invoke();
    }

    /// <summary>Loop: forgets what has had no endpoint for a day.</summary>
    private void Sweep()
    {
        var before = _time.GetUtcNow() - LongestAbsence;
        var marks = _marks.Current.ByIdentity;
        var over = _absent.Find(marks).TakeWhile(a => a.Since <= before).ToList();
        if (over.Count == 0)
        {
            return;
        }

        foreach (var mark in over)
        {
            var left = marks[mark.Id].Remove(mark.HostPort);
            marks = left.IsEmpty ? marks.Remove(mark.Id) : marks.SetItem(mark.Id, left);
        }

        Save(marks);
        _marks.Publish(new Marks(marks));
        Log.MarksForgotten(_logger, over.Count, LongestAbsence);
    }

    private void Save(ImmutableDictionary<string, ImmutableHashSet<string>> marks) =>
        _data.Write(FileName, JsonSerializer.SerializeToUtf8Bytes(marks.ToDictionary(m => m.Key, m => m.Value.Order(StringComparer.Ordinal).ToArray())), secret: false);

    private static ImmutableDictionary<string, ImmutableHashSet<string>> Load(DataFolder data)
    {
        if (!data.Exists(FileName))
        {
            return ImmutableDictionary<string, ImmutableHashSet<string>>.Empty;
        }

        try
        {
            var read = JsonSerializer.Deserialize<Dictionary<string, string[]>>(data.ReadText(FileName)) ?? [];
            return read.ToImmutableDictionary(m => m.Key, m => m.Value.ToImmutableHashSet(StringComparer.Ordinal), StringComparer.Ordinal);
        }
        catch (JsonException e)
        {
            throw new InvalidDataException(
                $"'{data.File(FileName)}' can't be read ({e.Message}). It says which endpoints must be reached by mesh TLS. Restore it, or delete it to let workloads mark themselves anew.", e);
        }
    }

    private sealed record Marks(ImmutableDictionary<string, ImmutableHashSet<string>> ByIdentity);
}
