using System.Collections.Immutable;
using System.Text.Json.Nodes;
using Mesh.Concurrency;
using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.ControlPlane.Cluster;

/// <summary>A few objects of the API server, as they are there now: listed, watched, and listed again when the watch broke. What was last seen stays while the server is away. Thread-safe.</summary>
/// <param name="path">Of a list, with its selectors.</param>
internal sealed partial class WatchedObjects(KubeApi api, string path, TimeProvider time, Random random, ILogger<WatchedObjects> logger) : IAsyncDisposable
{
    /// <summary>The server sends a bookmark each minute.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromMinutes(3);
    private readonly TaskCompletionSource _synced = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _stop = new();

    // Guards all below.
    private readonly Lock _lock = new();
    private ImmutableDictionary<string, JsonObject> _items = ImmutableDictionary<string, JsonObject>.Empty;
    private readonly HashSet<string> _writtenWhileListing = new(StringComparer.Ordinal);
    private string _version = string.Empty;
    private Action? _changed;
    private Task _running = Task.CompletedTask;

    /// <summary>By <see cref="KeyOf"/>. Nobody changes them: whoever wants another writes a copy.</summary>
    public ImmutableDictionary<string, JsonObject> Items
    {
        get
        {
            lock (_lock)
            {
                return _items;
            }
        }
    }

    /// <summary>Ends when the first list is here.</summary>
    public Task Synced => _synced.Task;

    /// <summary><c>namespace/name</c>, or the name alone.</summary>
    public static string KeyOf(JsonObject item) =>
        item["metadata"]?["namespace"]?.GetValue<string>() is { Length: > 0 } ns ? $"{ns}/{item["metadata"]!["name"]!.GetValue<string>()}" : item["metadata"]!["name"]!.GetValue<string>();

    public static string VersionOf(JsonObject item) => item["metadata"]?["resourceVersion"]?.GetValue<string>() ?? string.Empty;

    /// <summary>Called after each change, on the thread of whoever brought it; it must not block or throw.</summary>
    public void Subscribe(Action changed) => _changed += changed;

    public void Start()
    {
        using (ExecutionContext.SuppressFlow())
        {
            _running = Task.Run(RunAsync);
        }
    }

    /// <summary>Takes what the server answered to a write or a read of ours: the watch may tell it later.</summary>
    public void Put(JsonObject item)
    {
        lock (_lock)
        {
            _writtenWhileListing.Add(KeyOf(item));
        }

        Apply(item, deleted: false);
    }

    /// <summary>A read of ours found it gone.</summary>
    public void Remove(string key)
    {
        lock (_lock)
        {
            _items = _items.Remove(key);
        }

        _changed?.Invoke();
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
        _synced.TrySetCanceled();
    }

    /// <summary>Whether a version is later than another one of the same kind. Versions of the API server are numbers that grow; of others nobody can tell, and what comes later counts.</summary>
    internal static bool IsLater(string version, string than) =>
        !IsNumber(version) || !IsNumber(than) || (version.Length != than.Length ? version.Length > than.Length : string.CompareOrdinal(version, than) > 0);

    private static bool IsNumber(string text) => text.Length > 0 && text[0] != '0' && !text.AsSpan().ContainsAnyExceptInRange('0', '9');

    private async Task RunAsync()
    {
        var backoff = new Backoff(random, TimeSpan.FromMilliseconds(200), TimeSpan.FromSeconds(10));
        string? said = null;
        while (!_stop.IsCancellationRequested)
        {
            var wait = TimeSpan.Zero;
            try
            {
                if (_version.Length == 0)
                {
                    lock (_lock)
                    {
                        _writtenWhileListing.Clear();
                    }

                    Take(await api.ListAsync(path, _stop.Token));
                    said = null;
                }

                await foreach (var change in api.WatchAsync(path, _version, Silence, _stop.Token))
                {
                    backoff.Reset();
                    Take(change);
                }

                // The server ends each watch after some minutes; one that ends at once must not be asked for at once.
                wait = TimeSpan.FromMilliseconds(50);
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return;
            }
            catch (KubeApiException e) when (e.IsExpired)
            {
                _version = string.Empty;
            }
            catch (Exception e)
            {
                // Nothing may end this loop: what is watched would be believed for ever.
                var next = backoff.Next();
                wait = e is KubeApiException { RetryAfter: { } asked } && asked > next ? asked : next;
                if (e is not (TimeoutException or IOException or HttpRequestException) && said != e.Message)
                {
                    said = e.Message;
                    Log.WatchFailed(logger, path, e.Message);
                }

                // A list finds what a broken watch may have missed, and a server with another history.
                _version = string.Empty;
            }

            if (wait > TimeSpan.Zero)
            {
                await Task.Delay(wait, time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private void Take(KubeList list)
    {
        bool changed;
        lock (_lock)
        {
            var next = list.Items.ToImmutableDictionary(KeyOf, StringComparer.Ordinal);
            foreach (var (key, held) in _items)
            {
                // Written after the list was made. Of others the list is believed, also when its versions are lower: the server may have been restored from a copy.
                if (_writtenWhileListing.Contains(key) && IsNumber(VersionOf(held)) && IsLater(VersionOf(held), next.TryGetValue(key, out var listed) ? VersionOf(listed) : list.ResourceVersion))
                {
                    next = next.SetItem(key, held);
                }
            }

            changed = next.Count != _items.Count || next.Any(n => !_items.TryGetValue(n.Key, out var held) || VersionOf(held) != VersionOf(n.Value));
            (_items, _version) = (next, list.ResourceVersion);
        }

        if (changed)
        {
            _changed?.Invoke();
        }

        _synced.TrySetResult();
    }

    private void Take(WatchEvent change)
    {
        _version = VersionOf(change.Object);
        if (change.Type != "BOOKMARK")
        {
            Apply(change.Object, change.Type == "DELETED");
        }
    }

    private void Apply(JsonObject item, bool deleted)
    {
        var key = KeyOf(item);
        lock (_lock)
        {
            var held = _items.GetValueOrDefault(key);
            if (held is not null && VersionOf(held) != VersionOf(item) && !IsLater(VersionOf(item), VersionOf(held)))
            {
                return;
            }

            if (deleted ? held is null : held is not null && VersionOf(held) == VersionOf(item))
            {
                return;
            }

            _items = deleted ? _items.Remove(key) : _items.SetItem(key, item);
        }

        _changed?.Invoke();
    }

    private static partial class Log
    {
        [LoggerMessage(5200, LogLevel.Warning, "{Path} can't be watched; what was last seen of it stays in force, and it is tried again. {Problem}", EventName = nameof(WatchFailed))]
        public static partial void WatchFailed(ILogger logger, string path, string problem);
    }
}
