using System.Buffers;
using System.IO.Hashing;
using System.Numerics;
using System.Text;
using Mesh.Config;
using Mesh.Traffic;

namespace Mesh.Routing;

/// <summary>Makes the hash of a call out of what its route says (gRFC A42). Immutable and thread-safe.</summary>
internal sealed class CallHasher(IReadOnlyList<HashPolicy> policies)
{
    /// <summary>Null when the call has nothing of what is hashed.</summary>
    /// <param name="channelId">Drawn once per client.</param>
    public ulong? Hash(RequestHead head, ulong channelId)
    {
        ulong? hash = null;
        for (var i = 0; i < policies.Count; i++)
        {
            var policy = policies[i];
            if ((policy.Header is null ? channelId : OfHeader(head, policy)) is { } part)
            {
                hash = hash is { } before ? BitOperations.RotateLeft(before, 1) ^ part : part;
            }

            if (policy.Terminal && hash is not null)
            {
                break;
            }
        }

        return hash;
    }

    private static ulong? OfHeader(RequestHead head, HashPolicy policy)
    {
        // Binary headers never count: their text is not their value.
        if (policy.Header!.EndsWith("-bin", StringComparison.OrdinalIgnoreCase) || head.Header(policy.Header) is not { } value)
        {
            return null;
        }

        return OfText(policy.Rewrite is { } rewrite ? rewrite.Expression.Replace(value, rewrite.Replacement) : value);
    }

    internal static ulong OfText(string text)
    {
        const int OnStack = 512;
        var most = Encoding.UTF8.GetMaxByteCount(text.Length);
        byte[]? rented = null;
        var bytes = most <= OnStack ? stackalloc byte[OnStack] : rented = ArrayPool<byte>.Shared.Rent(most);
        var hash = XxHash64.HashToUInt64(bytes[..Encoding.UTF8.GetBytes(text, bytes)]);
        if (rented is not null)
        {
            ArrayPool<byte>.Shared.Return(rented);
        }

        return hash;
    }
}
