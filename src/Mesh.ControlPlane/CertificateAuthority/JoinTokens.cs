using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Mesh.ControlPlane.Model;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>What was made: the token itself is known to its receiver only.</summary>
internal sealed record NewJoinToken(string Token, DateTimeOffset ExpiresAt);

/// <summary>Lets a new workload prove once who it is: a random token, bound to one identity. Only hashes are kept, on disk. Thread-safe.</summary>
internal sealed class JoinTokens
{
    public static readonly TimeSpan Life = TimeSpan.FromHours(24);

    private const string FileName = "tokens.json";
    private const int MaxLength = 256;
    private const int MaxTokens = 20_000;
    private readonly IStateStore _data;
    private readonly TimeProvider _time;
    private readonly TrustDomain _trustDomain;

    // Guards the tokens and their file.
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Stored> _byHash;

    public JoinTokens(IStateStore data, TrustDomain trustDomain, TimeProvider time)
    {
        (_data, _trustDomain, _time) = (data, trustDomain, time);
        try
        {
            var stored = data.Exists(FileName) ? JsonSerializer.Deserialize<List<Stored>>(data.ReadText(FileName)) ?? [] : [];
            _byHash = stored.ToDictionary(t => t.Hash, StringComparer.Ordinal);
        }
        catch (Exception e) when (e is JsonException or ArgumentException)
        {
            throw new InvalidDataException($"'{data.File(FileName)}' can't be read ({e.Message}). Restore it, or delete it: then join tokens that were not used yet are void.", e);
        }
    }

    /// <exception cref="FormatException">The namespace or service account has characters that no identity may hold.</exception>
    /// <exception cref="InvalidOperationException">Too many tokens are waiting to be used.</exception>
    public NewJoinToken Create(string @namespace, string serviceAccount)
    {
        // Checks the characters as well.
        _ = SpiffeId.ForServiceAccount(_trustDomain, @namespace, serviceAccount);
        var token = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));
        var expires = _time.GetUtcNow() + Life;
        lock (_lock)
        {
            foreach (var old in _byHash.Values.Where(t => t.ExpiresAt + Life < _time.GetUtcNow()).ToList())
            {
                _byHash.Remove(old.Hash);
            }

            if (_byHash.Count >= MaxTokens)
            {
                throw new InvalidOperationException($"{MaxTokens} join tokens were made in the last two days: no more are. Wait until some expire.");
            }

            var hash = Hash(token);
            PutLocked(new Stored(hash, @namespace, serviceAccount, expires, null), null);
        }

        return new NewJoinToken(token, expires);
    }

    /// <summary>Whether it was made here, good or not.</summary>
    public bool Knows(string token)
    {
        lock (_lock)
        {
            return token.Length <= MaxLength && _byHash.ContainsKey(Hash(token));
        }
    }

    /// <summary>Whose token it is, without using it up.</summary>
    public SpiffeId? Find(string token, out string? problem)
    {
        lock (_lock)
        {
            return FindLocked(token, out problem) is { } stored ? Id(stored) : null;
        }
    }

    /// <summary>Uses it up; that is on disk before this returns.</summary>
    public SpiffeId? Redeem(string token, out string? problem)
    {
        lock (_lock)
        {
            if (FindLocked(token, out problem) is not { } stored)
            {
                return null;
            }

            PutLocked(stored with { UsedAt = _time.GetUtcNow() }, stored);
            return Id(stored);
        }
    }

    private Stored? FindLocked(string token, out string? problem)
    {
        // A look-up by hash tells an attacker nothing by its time.
        if (token.Length > MaxLength || !_byHash.TryGetValue(Hash(token), out var stored))
        {
            problem = "The join token is unknown here. Make one with POST /api/v1/tokens of this control plane.";
            return null;
        }

        problem = stored.UsedAt is { } used ? $"The join token was used at {used:u}; each works once. Make a new one."
            : stored.ExpiresAt <= _time.GetUtcNow() ? $"The join token expired at {stored.ExpiresAt:u}. Make a new one."
            : null;
        return problem is null ? stored : null;
    }

    private SpiffeId Id(Stored stored) => SpiffeId.ForServiceAccount(_trustDomain, stored.Namespace, stored.ServiceAccount);

    /// <summary>What can't be saved has not happened: a full disk must cost nobody a token.</summary>
    private void PutLocked(Stored next, Stored? before)
    {
        _byHash[next.Hash] = next;
        try
        {
            _data.Write(FileName, JsonSerializer.SerializeToUtf8Bytes(_byHash.Values), secret: true);
        }
        catch
        {
            if (before is null)
            {
                _byHash.Remove(next.Hash);
            }
            else
            {
                _byHash[next.Hash] = before;
            }

            throw;
        }
    }

    private static string Hash(string token) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(token)));

    private sealed record Stored(string Hash, string Namespace, string ServiceAccount, DateTimeOffset ExpiresAt, DateTimeOffset? UsedAt);
}
