using Mesh.Concurrency;

namespace Mesh.Config;

/// <summary>Holds the snapshot in force. One writer, any number of readers; thread-safe.</summary>
internal sealed class SnapshotStore
{
    private readonly Published<MeshSnapshot> _current = new(MeshSnapshot.Empty);
    private readonly Lock _lock = new();
    private Action<MeshSnapshot>[] _subscribers = [];

    public MeshSnapshot Current => _current.Current;

    /// <summary>Puts a snapshot in force by one write, then tells the subscribers on the caller's thread.</summary>
    public void Publish(MeshSnapshot snapshot)
    {
        _current.Publish(snapshot);
        Action<MeshSnapshot>[] subscribers;
        lock (_lock)
        {
            subscribers = _subscribers;
        }

        foreach (var subscriber in subscribers)
        {
            subscriber(snapshot);
        }
    }

    /// <summary>Calls <paramref name="onPublished"/> with the current snapshot now and with every later one, until disposed. It must not block or throw.</summary>
    public IDisposable Subscribe(Action<MeshSnapshot> onPublished)
    {
        lock (_lock)
        {
            _subscribers = [.. _subscribers, onPublished];
        }

        onPublished(Current);
        return new Subscription(this, onPublished);
    }

    private void Unsubscribe(Action<MeshSnapshot> onPublished)
    {
        lock (_lock)
        {
            _subscribers = [.. _subscribers.Where(s => s != onPublished)];
        }
    }

    private sealed class Subscription(SnapshotStore store, Action<MeshSnapshot> onPublished) : IDisposable
    {
        public void Dispose() => store.Unsubscribe(onPublished);
    }
}
