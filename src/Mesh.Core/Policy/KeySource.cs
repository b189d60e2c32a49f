using Mesh.Jwt;

namespace Mesh.Policy;

/// <summary>The keys of an issuer as they are now. Thread-safe.</summary>
internal abstract class KeySource
{
    /// <summary>Keys that may be used without waiting; null when they must be asked for.</summary>
    public abstract JsonWebKeySet? Current { get; }

    /// <summary>Waits where it must; null when there are none to be had.</summary>
    public abstract ValueTask<JsonWebKeySet?> GetAsync(CancellationToken cancellationToken);

    /// <summary>For a token whose key is not in <paramref name="seen"/>: newer keys, if there are any to be had now.</summary>
    public abstract ValueTask<JsonWebKeySet?> GetNewerAsync(JsonWebKeySet seen, CancellationToken cancellationToken);
}

/// <summary>Keys that the configuration holds.</summary>
internal sealed class FixedKeys(JsonWebKeySet set) : KeySource
{
    public override JsonWebKeySet Current => set;

    public override ValueTask<JsonWebKeySet?> GetAsync(CancellationToken cancellationToken) => new(set);

    public override ValueTask<JsonWebKeySet?> GetNewerAsync(JsonWebKeySet seen, CancellationToken cancellationToken) => new((JsonWebKeySet?)null);
}

/// <summary>Keys of an issuer that nothing here can ask.</summary>
internal sealed class NoKeys : KeySource
{
    public static NoKeys Instance { get; } = new();

    public override JsonWebKeySet? Current => null;

    public override ValueTask<JsonWebKeySet?> GetAsync(CancellationToken cancellationToken) => default;

    public override ValueTask<JsonWebKeySet?> GetNewerAsync(JsonWebKeySet seen, CancellationToken cancellationToken) => default;
}
