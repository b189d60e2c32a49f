using System.Globalization;
using System.Text.Json.Nodes;
using Mesh.Testing.Kubernetes.Storage;
using Microsoft.AspNetCore.Http;

namespace Mesh.Testing.Kubernetes.Watching;

/// <summary>One watch: a line of JSON for each event, until it ends.</summary>
internal sealed class WatchStream
{
    private readonly FakeKubeApiOptions _options;
    private readonly ObjectStore _store;
    private readonly Faults _faults;
    private readonly ApiRequest _request;
    private readonly KubeResource _resource;
    private readonly Selectors _selectors;
    private readonly Func<JsonObject, JsonObject> _show;
    private int _sent;

    /// <param name="show">An object as this caller asked to see it.</param>
    public WatchStream(FakeKubeApiOptions options, ObjectStore store, Faults faults, ApiRequest request, KubeResource resource, Func<JsonObject, JsonObject> show)
    {
        (_options, _store, _faults, _request, _resource, _show) = (options, store, faults, request, resource, show);
        _selectors = new Selectors(resource, request.Namespace, request.Name, request["labelSelector"], request["fieldSelector"]);
        if (request["sendInitialEvents"] != "" && (!request.Flag("allowWatchBookmarks") || request["resourceVersionMatch"] != "NotOlderThan") && request.Flag("sendInitialEvents"))
        {
            throw StatusException.Invalid(resource with { Group = "meta.k8s.io", Kind = "ListOptions" }, "", [FieldError.Forbidden("sendInitialEvents", "sendInitialEvents requires setting allowWatchBookmarks to true and resourceVersionMatch to \"NotOlderThan\"")]);
        }
    }

    private HttpContext Http => _request.Http;

    private bool Bookmarks => _request.Flag("allowWatchBookmarks");

    /// <summary>Wakes the stream for a bookmark that a test wants now.</summary>
    public required Func<(int Round, Task Next)> BookmarkCalls { get; init; }

    public async Task RunAsync(CancellationToken stopping)
    {
        var begin = _request.Number("resourceVersion");
        Http.Response.ContentType = "application/json";
        var calls = BookmarkCalls();
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stopping, Http.RequestAborted, _faults.Cut);
        // From here on the caller may count on what it asks of the faults and bookmarks.
        await Http.Response.Body.FlushAsync(stopping);
        var seconds = _request.Number("timeoutSeconds");
        using var lifetime = new CancellationTokenSource(seconds > 0 ? TimeSpan.FromSeconds(seconds) : _options.WatchTimeout, _options.Time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(ended.Token, lifetime.Token);
        var cursor = begin;
        try
        {
            if (begin == 0 || _request.Flag("sendInitialEvents"))
            {
                cursor = await SendInitialAsync(begin, both.Token);
            }

            cursor = await FollowAsync(cursor, calls, both.Token);
        }
        catch (OperationCanceledException) when (lifetime.IsCancellationRequested && !ended.IsCancellationRequested && Bookmarks)
        {
            // A good server says where it stood before it ends.
            await SendAsync("BOOKMARK", Bookmark(_store.Version), stopping);
        }
        catch (OperationCanceledException)
        {
        }
        catch (WatchCutException)
        {
        }
    }

    private async Task<long> SendInitialAsync(long atLeast, CancellationToken end)
    {
        var (objects, version) = _store.Now(_resource.Table);
        if (atLeast == 0 || _request["sendInitialEvents"] != "false")
        {
            foreach (var stored in objects.Where(o => _selectors.Match(o.Json)))
            {
                await SendAsync("ADDED", Show(stored.Json), end);
            }
        }

        if (_request.Flag("sendInitialEvents"))
        {
            var bookmark = Bookmark(version);
            bookmark.Meta()["annotations"] = new JsonObject { ["k8s.io/initial-events-end"] = "true" };
            await SendAsync("BOOKMARK", bookmark, end);
        }

        return version;
    }

    private async Task<long> FollowAsync(long cursor, (int Round, Task Next) calls, CancellationToken end)
    {
        var (round, called) = calls;
        var bookmark = Task.Delay(_options.BookmarkInterval, _options.Time, end);
        while (true)
        {
            if (_store.After(_resource.Table, cursor) is not { } news)
            {
                await SendAsync("ERROR", StatusException.Expired($"too old resource version: {cursor} ({_store.Floor})").ToStatus(), end);
                return cursor;
            }

            foreach (var happened in news.Events)
            {
                if (Translate(happened) is var (type, json))
                {
                    await SendAsync(type, json, end);
                }

                cursor = happened.Version;
            }

            // A version that is still to come is waited for.
            cursor = Math.Max(cursor, news.Version);
            await Task.WhenAny(news.Changed, bookmark, called).WaitAsync(end);
            var (now, next) = BookmarkCalls();
            if ((bookmark.IsCompleted || now != round) && _store.After(_resource.Table, cursor) is { Events.Count: 0 } still)
            {
                cursor = Math.Max(cursor, still.Version);
                (round, called) = (now, next);
                if (Bookmarks)
                {
                    await SendAsync("BOOKMARK", Bookmark(cursor), end);
                }
            }

            if (bookmark.IsCompleted)
            {
                bookmark = Task.Delay(_options.BookmarkInterval, _options.Time, end);
            }
        }
    }

    /// <summary>What a write is to this watch: an object that begins to match is added, one that ceases to is deleted.</summary>
    private (string Type, JsonObject Json)? Translate(StoreEvent happened)
    {
        var (was, isNow) = (happened.Before is { } before && _selectors.Match(before.Json), happened.After is { } after && _selectors.Match(after.Json));
        return (was, isNow) switch
        {
            (false, true) => ("ADDED", Show(happened.After!.Json)),
            (true, true) => ("MODIFIED", Show(happened.After!.Json)),
            (true, false) => ("DELETED", Show(Leaving(happened))),
            _ => null,
        };
    }

    /// <summary>The last state that matched, at the version of its leaving.</summary>
    private static JsonObject Leaving(StoreEvent happened)
    {
        var json = (happened.After is null ? happened.Last : happened.Before!).Json.Copy();
        json.Meta()["resourceVersion"] = happened.Version.ToString(CultureInfo.InvariantCulture);
        return json;
    }

    private JsonObject Show(JsonObject stored) => _show(Conversion.To(_resource, _request.Version, stored));

    private JsonObject Bookmark(long version) => new()
    {
        ["kind"] = _resource.Kind,
        ["apiVersion"] = _resource.ApiVersion(_request.Version),
        ["metadata"] = new JsonObject { ["resourceVersion"] = version.ToString(CultureInfo.InvariantCulture), ["creationTimestamp"] = null },
    };

    private async Task SendAsync(string type, JsonObject json, CancellationToken end)
    {
        await _faults.Resumed.WaitAsync(end);
        if (_sent++ >= _faults.CutWatchesAfter)
        {
            throw new WatchCutException();
        }

        var line = new JsonObject { ["type"] = type, ["object"] = json };
        await Http.Response.Body.WriteAsync((byte[])[.. line.ToBytes(), (byte)'\n'], end);
        await Http.Response.Body.FlushAsync(end);
    }

    private sealed class WatchCutException : Exception;
}
