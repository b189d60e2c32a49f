using System.Collections.Immutable;
using Mesh.ControlPlane.Sources.Manifests;

namespace Mesh.ControlPlane.Sources;

/// <summary>Objects that the control plane itself adds to those of a folder. Thread-safe.</summary>
internal sealed class ManifestOverlay
{
    private readonly Lock _lock = new();
    private ImmutableArray<ManifestFile> _files = [];
    private Action? _changed;

    public ImmutableArray<ManifestFile> Files
    {
        get
        {
            lock (_lock)
            {
                return _files;
            }
        }
    }

    /// <summary>Puts these in place of those before; they are in force soon after it returns.</summary>
    public void Set(IEnumerable<ManifestFile> files)
    {
        Action? changed;
        lock (_lock)
        {
            _files = [.. files];
            changed = _changed;
        }

        changed?.Invoke();
    }

    /// <summary>Called after each change; it must not block or throw.</summary>
    public void Subscribe(Action changed)
    {
        lock (_lock)
        {
            _changed += changed;
        }
    }
}
