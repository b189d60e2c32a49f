using System.Collections.Immutable;
using System.Text;

namespace Mesh.ControlPlane.Model;

/// <summary>State in memory: a copy of what replicas share, to try a change on. Not thread-safe.</summary>
/// <param name="origin">What it is a copy of, for messages.</param>
/// <param name="given">What is in it.</param>
internal sealed class StateCopy(string origin, ImmutableDictionary<string, byte[]> given) : IStateStore
{
    private ImmutableDictionary<string, byte[]>? _written;

    /// <inheritdoc/>
    public bool IsShared => true;

    /// <summary>All of it now.</summary>
    public ImmutableDictionary<string, byte[]> Content => _written ?? given;

    /// <summary>Whether what is in it now is something else than what was given.</summary>
    public bool IsChanged => _written is not null && !Same(_written, given);

    /// <inheritdoc/>
    public bool Exists(string name) => Content.ContainsKey(name);

    /// <inheritdoc/>
    public string ReadText(string name) => Encoding.UTF8.GetString(Content[name]);

    /// <inheritdoc/>
    public string File(string name) => $"{origin} ({name})";

    /// <inheritdoc/>
    public void Write(string name, ReadOnlySpan<byte> bytes, bool secret) => _written = Content.SetItem(name, bytes.ToArray());

    /// <inheritdoc/>
    public void Delete(string name) => _written = Content.Remove(name);

    public static bool Same(ImmutableDictionary<string, byte[]> a, ImmutableDictionary<string, byte[]> b) =>
        a.Count == b.Count && a.All(item => b.TryGetValue(item.Key, out var other) && item.Value.AsSpan().SequenceEqual(other));
}
