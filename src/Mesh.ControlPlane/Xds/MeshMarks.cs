using System.Collections.Immutable;
using System.Text.Json;
using Mesh.Concurrency;
using Mesh.ControlPlane.Model;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Xds;

/// <summary>Remembers which addresses a verified identity has served: on disk first, then in use. A mark is never taken back by a missing stream. Thread-safe.</summary>
internal sealed partial class MeshMarks : IMeshMarkStore
{
    /// <summary>Most addresses one identity can mark: bounds a workload that claims every port.</summary>
    public const int MaxPerIdentity = 2_000;

    /// <summary>How long a mark outlives its endpoint: it may be away for a while, and must not come back unmeshed.</summary>
    public static readonly TimeSpan LongestAbsence = TimeSpan.FromHours(24);

    private static readonly TimeSpan SweepInterval = TimeSpan.FromHours(1);
    private static readonly TimeSpan SaveAgainAfter = TimeSpan.FromSeconds(5);
    private const string FileName = "marks.json";

    /// <summary>Before an identity in the file: which of its addresses a sidecar serves. Who does not know it still finds them all under the identity.</summary>
    private const string TransparentPrefix = "transparent ";
    private readonly DataFolder _data;
    private readonly AbsentMarks _absent;
    private readonly TimeProvider _time;
    private readonly ITimer _sweeps;
    private readonly ITimer _saveAgain;
    private readonly ILogger<MeshMarks> _logger;
    private readonly SerialLoop _loop;
    private readonly Published<Marks> _marks;
    private readonly Lock _lock = new();
    private Dictionary<(string Id, string HostPort), bool> _pending = [];

    /// <summary>Being written now.</summary>
    private Dictionary<(string Id, string HostPort), bool> _writing = [];
    private Action? _changed;

    /// <exception cref="InvalidDataException">marks.json can't be read: serving without it could let clients fall back to plaintext.</exception>
    public MeshMarks(DataFolder data, AbsentMarks absent, TimeProvider time, ILogger<MeshMarks> logger)
    {
        (_data, _absent, _time, _logger) = (data, absent, time, logger);
        _marks = new Published<Marks>(Load(data));
        _loop = new SerialLoop(e => Log.MarksNotSaved(logger, e));
        _sweeps = time.CreateTimer(_ => _loop.Post(Sweep), null, SweepInterval, SweepInterval);
        _saveAgain = time.CreateTimer(_ => _loop.Post(Flush), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <inheritdoc/>
    public bool IsMeshed(string hostPort, SpiffeId id) => _marks.Current.ByIdentity.TryGetValue(id.ToString(), out var marks) && marks.Contains(hostPort);

    /// <inheritdoc/>
    public bool IsTransparent(string hostPort, SpiffeId id) => _marks.Current.Transparent.TryGetValue(id.ToString(), out var marks) && marks.Contains(hostPort);

    /// <inheritdoc/>
    public void Subscribe(Action changed) => _changed += changed;

    /// <inheritdoc/>
    public void Record(string hostPort, SpiffeId id, bool transparent = false)
    {
        var key = (id.ToString(), hostPort);
        lock (_lock)
        {
            // What is on its way counts, not what it replaces.
            var known = _pending.TryGetValue(key, out var kind) || _writing.TryGetValue(key, out kind);
            if (known ? kind == transparent : IsMeshed(hostPort, id) && IsTransparent(hostPort, id) == transparent)
            {
                return;
            }

            if (_pending.Count >= MaxPerIdentity * 10 && !_pending.ContainsKey(key))
            {
                return;
            }

            _pending[key] = transparent;
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
        Dictionary<(string Id, string HostPort), bool> pending;
        lock (_lock)
        {
            if (_pending.Count == 0)
            {
                return;
            }

            (pending, _writing, _pending) = (_pending, _pending, []);
        }

        var (marks, transparent) = _marks.Current;
        List<AbsentMark>? absent = null;
        foreach (var ((id, hostPort), bySidecar) in pending)
        {
            var known = marks.GetValueOrDefault(id, []);
            if (known.Count >= MaxPerIdentity && !known.Contains(hostPort))
            {
                // Room is made only by marks that stand for nothing.
                absent ??= _absent.Find(marks);
                var oldest = absent.FindIndex(a => a.Id == id);
                if (oldest >= 0)
                {
                    known = known.Remove(absent[oldest].HostPort);
                    transparent = Without(transparent, id, absent[oldest].HostPort);
                    absent.RemoveAt(oldest);
                }
            }

            if (known.Count < MaxPerIdentity || known.Contains(hostPort))
            {
                marks = marks.SetItem(id, known.Add(hostPort));
                transparent = bySidecar ? transparent.SetItem(id, transparent.GetValueOrDefault(id, []).Add(hostPort)) : Without(transparent, id, hostPort);
            }
            else
            {
                Log.TooManyMarks(_logger, id, MaxPerIdentity, hostPort);
            }
        }

        try
        {
            Save(new Marks(marks, transparent));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Nobody records them again while their streams stand: until they are saved their callers use plaintext.
            lock (_lock)
            {
                foreach (var (key, kind) in pending)
                {
                    _pending.TryAdd(key, kind);
                }

                _writing = [];
            }

            _saveAgain.Change(SaveAgainAfter, Timeout.InfiniteTimeSpan);
            throw;
        }

        _marks.Publish(new Marks(marks, transparent));
        lock (_lock)
        {
            _writing = [];
        }

        _changed?.Invoke();
    }

    /// <summary>Loop: forgets what has had no endpoint for a day.</summary>
    private void Sweep()
    {
        var before = _time.GetUtcNow() - LongestAbsence;
        var (marks, transparent) = _marks.Current;
        var over = _absent.Find(marks).TakeWhile(a => a.Since <= before).ToList();
        if (over.Count == 0)
        {
            return;
        }

        foreach (var mark in over)
        {
            (marks, transparent) = (Without(marks, mark.Id, mark.HostPort), Without(transparent, mark.Id, mark.HostPort));
        }

        Save(new Marks(marks, transparent));
        _marks.Publish(new Marks(marks, transparent));
        Log.MarksForgotten(_logger, over.Count, LongestAbsence);
    }

    private static ImmutableDictionary<string, ImmutableHashSet<string>> Without(ImmutableDictionary<string, ImmutableHashSet<string>> marks, string id, string hostPort)
    {
        var left = marks.GetValueOrDefault(id, []).Remove(hostPort);
        return left.IsEmpty ? marks.Remove(id) : marks.SetItem(id, left);
    }

    private void Save(Marks marks) => _data.Write(FileName, JsonSerializer.SerializeToUtf8Bytes(
        marks.ByIdentity.Concat(marks.Transparent.Select(t => KeyValuePair.Create(TransparentPrefix + t.Key, t.Value)))
            .ToDictionary(m => m.Key, m => m.Value.Order(StringComparer.Ordinal).ToArray())), secret: false);

    private static Marks Load(DataFolder data)
    {
        if (!data.Exists(FileName))
        {
            return new Marks(ImmutableDictionary<string, ImmutableHashSet<string>>.Empty, ImmutableDictionary<string, ImmutableHashSet<string>>.Empty);
        }

        try
        {
            var read = JsonSerializer.Deserialize<Dictionary<string, string[]>>(data.ReadText(FileName)) ?? [];
            var sets = read.ToLookup(m => m.Key.StartsWith(TransparentPrefix, StringComparison.Ordinal));
            return new Marks(
                sets[false].ToImmutableDictionary(m => m.Key, m => m.Value.ToImmutableHashSet(StringComparer.Ordinal), StringComparer.Ordinal),
                sets[true].ToImmutableDictionary(m => m.Key[TransparentPrefix.Length..], m => m.Value.ToImmutableHashSet(StringComparer.Ordinal), StringComparer.Ordinal));
        }
        catch (JsonException e)
        {
            throw new InvalidDataException(
                $"'{data.File(FileName)}' can't be read ({e.Message}). It says which endpoints must be reached by mesh TLS. Restore it, or delete it to let workloads mark themselves anew.", e);
        }
    }

    /// <param name="Transparent">Those of <paramref name="ByIdentity"/> that a sidecar serves.</param>
    private sealed record Marks(ImmutableDictionary<string, ImmutableHashSet<string>> ByIdentity, ImmutableDictionary<string, ImmutableHashSet<string>> Transparent);
}
