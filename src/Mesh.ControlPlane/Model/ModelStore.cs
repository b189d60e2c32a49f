using Mesh.Concurrency;

namespace Mesh.ControlPlane.Model;

/// <summary>Holds the model in force, as SnapshotStore does on the other side. One writer, any number of readers; thread-safe.</summary>
internal sealed class ModelStore
{
    private readonly Published<MeshModel> _current = new(MeshModel.Empty);
    private readonly Lock _lock = new();
    private Action<MeshModel>[] _subscribers = [];

    public MeshModel Current => _current.Current;

    public void Publish(MeshModel model)
    {
        _current.Publish(model);
        Action<MeshModel>[] subscribers;
        lock (_lock)
        {
            subscribers = _subscribers;
        }

        foreach (var subscriber in subscribers)
        {
            subscriber(model);
        }
    }

    /// <summary>Calls <paramref name="onPublished"/> with every later model. It must not block or throw.</summary>
    public void Subscribe(Action<MeshModel> onPublished)
    {
        lock (_lock)
        {
            _subscribers = [.. _subscribers, onPublished];
        }
    }
}
