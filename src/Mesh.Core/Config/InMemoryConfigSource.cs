namespace Mesh.Config;

/// <summary>A configuration given in code: what tests and benches steer the real core with.</summary>
/// <remarks>Thread-safe as far as <see cref="Set"/> has one caller at a time.</remarks>
internal sealed class InMemoryConfigSource : IConfigSource
{
    private readonly Lock _lock = new();
    private readonly HashSet<string> _watched = new(StringComparer.Ordinal);
    private MeshSnapshot _set = MeshSnapshot.Empty;

    public SnapshotStore Snapshots { get; } = new();

    /// <summary>Puts a whole configuration in force. Names that are watched and not in it do not exist.</summary>
    public void Set(MeshSnapshot snapshot)
    {
        lock (_lock)
        {
            _set = snapshot;
        }

        Publish();
    }

    /// <inheritdoc/>
    public void Watch(string listenerName)
    {
        lock (_lock)
        {
            if (!_watched.Add(listenerName))
            {
                return;
            }
        }

        Publish();
    }

    /// <inheritdoc/>
    public void Unwatch(string listenerName)
    {
        lock (_lock)
        {
            if (!_watched.Remove(listenerName))
            {
                return;
            }
        }

        Publish();
    }

    private void Publish()
    {
        MeshSnapshot snapshot;
        lock (_lock)
        {
            snapshot = _set;
            foreach (var name in _watched)
            {
                if (!snapshot.Listeners.ContainsKey(name))
                {
                    snapshot = snapshot with { Listeners = snapshot.Listeners.Add(name, new ListenerResult.DoesNotExist("not in the configuration given in code")) };
                }
            }
        }

        Snapshots.Publish(snapshot);
    }
}
