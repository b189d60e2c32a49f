using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Mesh.Policy;

/// <summary>Tokens that were verified, by their hash: a caller sends the same one many times. Bounded; a hit takes no lock and allocates nothing. Thread-safe.</summary>
/// <remarks>Two generations: what was not used since the last change of generation is forgotten at the next.</remarks>
internal sealed class TokenCache<T>(int capacity = 10_000)
    where T : class
{
    private readonly int _half = Math.Max(1, capacity / 2);
    private readonly Lock _turn = new();
    private volatile Generation _young = new();
    private volatile Generation _old = new();

    /// <summary>Most entries at once, but for those that are added while a generation changes.</summary>
    public int Count => _young.Added + _old.Added;

    public bool TryGet(in TokenHash hash, [NotNullWhen(true)] out T? value)
    {
        if (_young.Entries.TryGetValue(hash, out value))
        {
            return true;
        }

        if (!_old.Entries.TryGetValue(hash, out value))
        {
            return false;
        }

        Add(hash, value);
        return true;
    }

    public void Add(in TokenHash hash, T value)
    {
        var young = _young;
        if (!young.Entries.TryAdd(hash, value))
        {
            young.Entries[hash] = value;
            return;
        }

        if (Interlocked.Increment(ref young.Added) >= _half)
        {
            lock (_turn)
            {
                if (ReferenceEquals(_young, young))
                {
                    (_old, _young) = (young, new Generation());
                }
            }
        }
    }

    /// <summary>It is believed no more.</summary>
    public void Remove(in TokenHash hash)
    {
        _young.Entries.TryRemove(hash, out _);
        _old.Entries.TryRemove(hash, out _);
    }

    private sealed class Generation
    {
        public readonly ConcurrentDictionary<TokenHash, T> Entries = new();
        public int Added;
    }
}

/// <summary>SHA-256 of a token, and where in the request it was.</summary>
/// <param name="Place">Index of the place.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct TokenHash(UInt128 First, UInt128 Second, int Place)
{
    public static TokenHash Of(ReadOnlySpan<char> token, int place)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(MemoryMarshal.AsBytes(token), hash);
        return new TokenHash(MemoryMarshal.Read<UInt128>(hash), MemoryMarshal.Read<UInt128>(hash[16..]), place);
    }
}
