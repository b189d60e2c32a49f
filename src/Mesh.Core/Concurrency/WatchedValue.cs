namespace Mesh.Concurrency;

/// <summary>One immutable value in force, and those who want to know of the next. One writer, any number of readers; thread-safe.</summary>
internal abstract class WatchedValue<T>(T initial)
    where T : class
{
    private readonly Published<T> _current = new(initial);
    private readonly Lock _lock = new();
    private Action<T>[] _subscribers = [];

    public T Current => _current.Current;

    /// <summary>Puts a value in force by one write, then tells the subscribers on the caller's thread.</summary>
    public void Publish(T next)
    {
        _current.Publish(next);
        Action<T>[] subscribers;
        lock (_lock)
        {
            subscribers = _subscribers;
        }

        foreach (var subscriber in subscribers)
        {
            subscriber(next);
        }
    }

    /// <summary>Calls <paramref name="onPublished"/> with the current value now and with every later one, until disposed. It must not block or throw.</summary>
    public IDisposable Subscribe(Action<T> onPublished)
    {
        lock (_lock)
        {
            _subscribers = [.. _subscribers, onPublished];
        }

        onPublished(Current);
        return new Subscription(this, onPublished);
    }

    private void Unsubscribe(Action<T> onPublished)
    {
        lock (_lock)
        {
            _subscribers = [.. _subscribers.Where(s => s != onPublished)];
        }
    }

    private sealed class Subscription(WatchedValue<T> value, Action<T> onPublished) : IDisposable
    {
        public void Dispose() => value.Unsubscribe(onPublished);
    }
}
