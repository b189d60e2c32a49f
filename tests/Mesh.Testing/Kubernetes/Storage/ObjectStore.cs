using System.Globalization;
using System.Text.Json.Nodes;

namespace Mesh.Testing.Kubernetes.Storage;

/// <summary>All objects and the history of writes, one global version as in etcd.</summary>
internal sealed class ObjectStore
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, SortedDictionary<string, StoredObject>> _tables = [];
    private readonly List<StoreEvent> _history = [];
    private TaskCompletionSource _changed = NewSignal();
    private long _version = 100;
    private long _floor = 100;

    public long Version
    {
        get
        {
            lock (_lock)
            {
                return _version;
            }
        }
    }

    /// <summary>Versions before this one are forgotten.</summary>
    public long Floor
    {
        get
        {
            lock (_lock)
            {
                return _floor;
            }
        }
    }

    public StoredObject? Find(string table, string ns, string name)
    {
        lock (_lock)
        {
            return TableLocked(table).GetValueOrDefault(StoredObject.KeyOf(ns, name));
        }
    }

    public StoredObject? Find(KubeResource resource, string ns, string name) => Find(resource.Table, resource.Namespaced ? ns : "", name);

    public IReadOnlyList<StoredObject> All(string table) => Now(table).Objects;

    public IReadOnlyList<StoredObject> All(KubeResource resource) => All(resource.Table);

    public (IReadOnlyList<StoredObject> Objects, long Version) Now(string table)
    {
        lock (_lock)
        {
            return ([.. TableLocked(table).Values], _version);
        }
    }

    /// <summary>What the table held at an earlier version; null when that is forgotten.</summary>
    public IReadOnlyList<StoredObject>? At(string table, long version)
    {
        lock (_lock)
        {
            if (version < _floor)
            {
                return null;
            }

            var objects = new SortedDictionary<string, StoredObject>(TableLocked(table), StringComparer.Ordinal);
            for (var i = _history.Count - 1; i >= 0 && _history[i].Version > version; i--)
            {
                if (_history[i] is var happened && happened.Table == table)
                {
                    if (happened.Before is { } before)
                    {
                        objects[before.Key] = before;
                    }
                    else
                    {
                        objects.Remove(happened.Last.Key);
                    }
                }
            }

            return [.. objects.Values];
        }
    }

    /// <summary>Writes an object in the place of what the caller saw there (null: nothing); false when something else is there by now.</summary>
    public bool TryWrite(string table, StoredObject? seen, JsonObject json, out StoredObject written)
    {
        lock (_lock)
        {
            var objects = TableLocked(table);
            var key = StoredObject.KeyOf(json.Namespace(), json.Name());
            if (!ReferenceEquals(objects.GetValueOrDefault(key), seen))
            {
                written = seen!;
                return false;
            }

            written = StampedLocked(json);
            objects[key] = written;
            AppendLocked(new StoreEvent(_version, table, seen, written, written));
            return true;
        }
    }

    /// <summary>Takes away what the caller saw; false when something else is there by now.</summary>
    public bool TryRemove(string table, StoredObject seen, out StoredObject last)
    {
        lock (_lock)
        {
            var objects = TableLocked(table);
            if (!ReferenceEquals(objects.GetValueOrDefault(seen.Key), seen))
            {
                last = seen;
                return false;
            }

            objects.Remove(seen.Key);
            last = StampedLocked(seen.Json.Copy());
            AppendLocked(new StoreEvent(_version, table, seen, null, last));
            return true;
        }
    }

    /// <summary>What was written to a table after a version, up to now, and a signal of the next write; null when the version is forgotten.</summary>
    public (IReadOnlyList<StoreEvent> Events, long Version, Task Changed)? After(string table, long version)
    {
        lock (_lock)
        {
            if (version < _floor)
            {
                return null;
            }

            var first = _history.Count;
            while (first > 0 && _history[first - 1].Version > version)
            {
                first--;
            }

            return ([.. _history.Skip(first).Where(e => e.Table == table)], _version, _changed.Task);
        }
    }

    /// <summary>Forgets the history, as etcd does after five minutes: who asks for an older version is told that it is gone.</summary>
    public void Compact()
    {
        lock (_lock)
        {
            _history.Clear();
            _floor = _version;
        }
    }

    /// <summary>Lets versions pass without a write, as writes to other kinds do.</summary>
    public void Skip(int versions)
    {
        lock (_lock)
        {
            _version += versions;
        }
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private SortedDictionary<string, StoredObject> TableLocked(string table)
    {
        if (!_tables.TryGetValue(table, out var objects))
        {
            _tables[table] = objects = new(StringComparer.Ordinal);
        }

        return objects;
    }

    private StoredObject StampedLocked(JsonObject json)
    {
        _version++;
        json.Meta()["resourceVersion"] = _version.ToString(CultureInfo.InvariantCulture);
        return new StoredObject(json, _version);
    }

    private void AppendLocked(StoreEvent happened)
    {
        _history.Add(happened);
        var changed = _changed;
        _changed = NewSignal();
        changed.SetResult();
    }
}
