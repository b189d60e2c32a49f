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

    private const string FileName = "marks.json";
    private readonly DataFolder _data;
    private readonly ILogger<MeshMarks> _logger;
    private readonly SerialLoop _loop;
    private readonly Published<Marks> _marks;
    private readonly Lock _lock = new();
    private HashSet<(string Id, string HostPort)> _pending = [];
    private Action? _changed;

    /// <exception cref="InvalidDataException">marks.json can't be read: serving without it could let clients fall back to plaintext.</exception>
    public MeshMarks(DataFolder data, ILogger<MeshMarks> logger)
    {
        (_data, _logger) = (data, logger);
        _marks = new Published<Marks>(new Marks(Load(data)));
        _loop = new SerialLoop(e => Log.MarksNotSaved(logger, e));
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

    public ValueTask DisposeAsync() => _loop.DisposeAsync();

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
        foreach (var (id, hostPort) in pending)
        {
            var known = marks.GetValueOrDefault(id, []);
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
            _data.Write(FileName, JsonSerializer.SerializeToUtf8Bytes(marks.ToDictionary(m => m.Key, m => m.Value.Order(StringComparer.Ordinal).ToArray())), secret: false);
        }
        catch (IOException)
        {
            // They go with the next mark that comes.
            lock (_lock)
            {
                _pending.UnionWith(pending);
            }

            throw;
        }

        _marks.Publish(new Marks(marks));
        _changed?.Invoke();
    }

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
