using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Mesh.Concurrency;

namespace Mesh.ControlPlane.Sources.Kubernetes;

/// <summary>Keeps all objects of one kind as they are in the API server: reads them once, then follows what happens to them.</summary>
/// <typeparam name="T">What is kept of an object: the JSON itself is not.</typeparam>
/// <remarks>One loop writes; reading is thread-safe. What is known stays in force while the server can't be heard.</remarks>
internal sealed partial class Informer<T> : IAsyncDisposable
    where T : class
{
    /// <summary>Servers send a bookmark about every minute.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromMinutes(3);

    /// <summary>How long a watch is asked for: now and then another replica of the server is met, as client-go does.</summary>
    private static readonly TimeSpan ShortestWatch = TimeSpan.FromMinutes(5);

    /// <summary>A kind that was there must be found missing for so long before its objects are gone: servers that start forget some for a moment.</summary>
    private static readonly TimeSpan SureOfAbsence = TimeSpan.FromSeconds(10);

    /// <summary>A watch that lasted so long worked, even if nothing happened.</summary>
    private static readonly TimeSpan Lasting = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(30);

    /// <summary>A list older than what was heard is asked for again so often; then the server was restored from a backup.</summary>
    private const int MostStaleLists = 5;

    private readonly InformerSource<T> _source;
    private readonly Action _changed;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly ILogger _logger;
    private readonly Backoff _backoff;
    private readonly CancellationTokenSource _stopping = new();
    private readonly TaskCompletionSource _synced = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task _running;

    private readonly Lock _lock = new();

    // Guarded by the lock; the loop is the only writer.
    private Dictionary<(string Namespace, string Name), (string Version, T Value)> _objects = [];
    private KindState _state;
    private TaskCompletionSource _noticed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Owned by the loop.
    private string? _version;
    private DateTimeOffset? _missingSince;
    private int _staleLists;
    private int _failures;
    private long? _watchStarted;

    /// <summary>The newest that was heard, whatever has to be read again.</summary>
    private string? _heardVersion;

    /// <param name="changed">Called after each change, on any thread; it must not block or throw.</param>
    public Informer(InformerSource<T> source, Action changed, TimeProvider time, Random random, ILogger logger)
    {
        (_source, _changed, _time, _random, _logger) = (source, changed, time, random, logger);
        _backoff = new Backoff(random, TimeSpan.FromMilliseconds(500), TimeSpan.FromSeconds(15), factor: 2, jitter: 0.3);
        _state = new KindState(source.Kind, true, false, 0, 0, 0, null, null);
        using (ExecutionContext.SuppressFlow())
        {
            _running = Task.Run(RunAsync);
        }
    }

    /// <summary>Ends when all objects were read once, or the kind does not exist.</summary>
    public Task Synced => _synced.Task;

    public KindState State
    {
        get
        {
            lock (_lock)
            {
                return _state;
            }
        }
    }

    /// <summary>What is known now, in no order.</summary>
    public IReadOnlyList<T> Objects
    {
        get
        {
            lock (_lock)
            {
                return [.. _objects.Values.Select(o => o.Value)];
            }
        }
    }

    public T? Find(string ns, string name)
    {
        lock (_lock)
        {
            return _objects.TryGetValue((ns, name), out var found) ? found.Value : null;
        }
    }

    /// <summary>The kind may exist now: look at once.</summary>
    public void Notice()
    {
        lock (_lock)
        {
            _noticed.TrySetResult();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _running;
        _stopping.Dispose();
    }

    private async Task RunAsync()
    {
        var cancellation = _stopping.Token;
        KubeResource? resource = null;
        while (!cancellation.IsCancellationRequested)
        {
            TimeSpan? wait = null;
            _watchStarted = null;
            try
            {
                resource ??= await _source.FindAsync(cancellation);
                if (resource is null)
                {
                    wait = Missing();
                }
                else
                {
                    _version ??= await ListAsync(resource, cancellation);
                    await WatchAsync(resource, cancellation);
                }
            }
            catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
            {
                return;
            }
            catch (KubeApiException e) when (e.IsExpired)
            {
                Worked();
                // Too long away, or pages that went too old: all is read again.
                _version = null;
                wait = _backoff.Next();
                Log.Expired(_logger, _source.Kind, e.Message);
            }
            catch (KubeApiException e) when (e.IsNotFound)
            {
                (resource, _version) = (null, null);
                wait = _backoff.Next();
                Update(s => s with { Trouble = e.Message });
            }
            catch (Exception e)
            {
                Worked();
                // What we read of an object can't throw so that others suffer: the source sees to it. All else is the server or the way to it.
                var next = _backoff.Next();
                wait = (e as KubeApiException)?.RetryAfter is { } asked && asked > next ? asked + (0.2 * next) : next;
                Update(s => s with { Trouble = e.Message });
                // A watch that is cut once is everyday.
                if (++_failures == 2)
                {
                    Log.Lost(_logger, _source.Kind, e.Message, wait.Value);
                }
                else
                {
                    Log.TriedAgain(_logger, _source.Kind, e.Message, wait.Value);
                }
            }

            if (wait is { } time)
            {
                await WaitAsync(time, cancellation);
            }
        }
    }

    /// <summary>After a watch that lasted, waiting begins anew.</summary>
    private void Worked()
    {
        if (_watchStarted is { } started && _time.GetElapsedTime(started) > Lasting)
        {
            _backoff.Reset();
            _failures = 0;
        }
    }

    /// <returns>When to look again.</returns>
    private TimeSpan Missing()
    {
        var now = _time.GetUtcNow();
        _missingSince ??= now;
        bool known;
        lock (_lock)
        {
            known = _objects.Count > 0;
        }

        if (known && now - _missingSince < SureOfAbsence)
        {
            return SureOfAbsence;
        }

        _version = null;
        var existed = false;
        lock (_lock)
        {
            existed = _state.Exists && _state.Synced;
            _objects = [];
            _state = _state with { Exists = false, Synced = true, Objects = 0, Heard = now, Trouble = null };
        }

        if (existed)
        {
            Log.Gone(_logger, _source.Kind);
            _changed();
        }

        _synced.TrySetResult();
        return LookAgain;
    }

    private async Task<string> ListAsync(KubeResource resource, CancellationToken cancellationToken)
    {
        Dictionary<(string, string), (string Version, T Value)> before;
        lock (_lock)
        {
            before = _objects;
        }

        var objects = new Dictionary<(string, string), (string, T)>();
        var version = string.Empty;
        await foreach (var page in _source.Api.ListPagesAsync(resource.ListPath, cancellationToken, metadataOnly: _source.MetadataOnly))
        {
            foreach (var item in page.Items)
            {
                var (key, itemVersion) = KeyOf(item);
                objects[key] = before.TryGetValue(key, out var known) && known.Version == itemVersion ? known : (itemVersion, _source.Read(item, resource, known.Value));
            }

            version = page.ResourceVersion;
        }

        if (version.Length == 0)
        {
            throw new JsonException($"The list of {resource.ListPath} has no resourceVersion.");
        }

        if (IsOlder(version, _heardVersion) && _staleLists++ < MostStaleLists)
        {
            throw new InvalidDataException($"The list of {_source.Kind} is of version {version}, older than {_heardVersion}, which was heard already.");
        }

        (_staleLists, _missingSince, _heardVersion) = (0, null, version);
        lock (_lock)
        {
            _objects = objects;
            _state = _state with { Exists = true, Synced = true, Objects = objects.Count, Lists = _state.Lists + 1, Heard = _time.GetUtcNow(), Trouble = null };
        }

        Log.Listed(_logger, _source.Kind, objects.Count, version);
        _changed();
        _synced.TrySetResult();
        return version;
    }

    private async Task WatchAsync(KubeResource resource, CancellationToken cancellationToken)
    {
        var started = _time.GetTimestamp();
        _watchStarted = started;
        var seconds = (int)(ShortestWatch.TotalSeconds * (1 + _random.NextDouble()));
        var path = string.Create(CultureInfo.InvariantCulture, $"{resource.ListPath}?timeoutSeconds={seconds}");
        await foreach (var happened in _source.Api.WatchAsync(path, _version!, Silence, cancellationToken, _source.MetadataOnly))
        {
            var (key, version) = KeyOf(happened.Object);
            Apply(happened, resource, key, version);
            // It works: what fails next fails anew.
            _backoff.Reset();
            if (_failures > 1)
            {
                Log.Heard(_logger, _source.Kind);
            }

            _failures = 0;
            _version = _heardVersion = version.Length > 0 ? version : _version;
        }

        // The server ended it, as it does now and then; one that does so at once is not asked in a row.
        if (_time.GetElapsedTime(started) < TimeSpan.FromSeconds(1))
        {
            await WaitAsync(_backoff.Next(), cancellationToken);
        }
    }

    private void Apply(WatchEvent happened, KubeResource resource, (string, string) key, string version)
    {
        T? known = null;
        lock (_lock)
        {
            if (happened.Type != "BOOKMARK" && _objects.TryGetValue(key, out var found))
            {
                known = found.Value;
            }
        }

        var value = happened.Type is "ADDED" or "MODIFIED" ? _source.Read(happened.Object, resource, known) : null;
        var changed = true;
        lock (_lock)
        {
            switch (happened.Type)
            {
                case "ADDED" or "MODIFIED":
                    _objects[key] = (version, value!);
                    changed = !ReferenceEquals(value, known);
                    break;
                case "DELETED":
                    changed = _objects.Remove(key);
                    break;
                default:
                    changed = false;
                    break;
            }

            _state = _state with { Objects = _objects.Count, Events = _state.Events + (happened.Type == "BOOKMARK" ? 0 : 1), Heard = _time.GetUtcNow(), Trouble = null };
        }

        if (changed)
        {
            _changed();
        }
    }

    private async Task WaitAsync(TimeSpan time, CancellationToken cancellationToken)
    {
        Task noticed;
        lock (_lock)
        {
            noticed = _noticed.Task;
        }

        using var waiting = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await Task.WhenAny(Task.Delay(time, _time, waiting.Token), noticed);
        await waiting.CancelAsync();
        lock (_lock)
        {
            if (_noticed.Task.IsCompleted)
            {
                _noticed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }
        }
    }

    private void Update(Func<KindState, KindState> change)
    {
        lock (_lock)
        {
            _state = change(_state);
        }
    }

    private static ((string Namespace, string Name) Key, string Version) KeyOf(JsonObject item)
    {
        var meta = item["metadata"] as JsonObject;
        return (((string?)meta?["namespace"] ?? string.Empty, (string?)meta?["name"] ?? string.Empty), (string?)meta?["resourceVersion"] ?? string.Empty);
    }

    /// <summary>Versions are numbers of the store's own count (KEP-5504); of what are none nothing is known.</summary>
    private static bool IsOlder(string version, string? than) =>
        ulong.TryParse(version, CultureInfo.InvariantCulture, out var one) && ulong.TryParse(than, CultureInfo.InvariantCulture, out var other) && one < other;
}

/// <summary>What an informer follows, and what it keeps.</summary>
/// <param name="FindAsync">Where the kind is served; null where it is not.</param>
/// <param name="Read">The newest version over what was kept before; the same reference where nothing that counts is another. It does not throw.</param>
internal sealed record InformerSource<T>(KubeApi Api, string Kind, Func<CancellationToken, Task<KubeResource?>> FindAsync, Func<JsonObject, KubeResource, T?, T> Read)
    where T : class
{
    /// <summary>Only <c>metadata</c> is asked for.</summary>
    public bool MetadataOnly { get; init; }
}
