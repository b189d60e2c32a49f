using System.Globalization;
using System.IO.Hashing;
using System.Text;
using Mesh.Config;

namespace Mesh.Balancing;

/// <summary>A ring of hashes with an endpoint at each: a call goes to the first at or after its own hash, so that equal hashes meet the same endpoint (gRFC A42, A76).</summary>
/// <remarks>
/// An entry's hash is XXH64 with seed 0 of <c>address_number</c>, and the number of entries follows from the endpoint's share as Envoy and gRPC count it:
/// every client with the same endpoints builds the same ring. Immutable.
/// </remarks>
internal sealed class RingHashGroup : EndpointGroup
{
    /// <summary>More entries than this are not built, whatever the control plane asks (gRPC's own cap).</summary>
    public const int Cap = 4096;

    private readonly ulong[] _hashes;
    private readonly BalancedEndpoint[] _owners;

    /// <param name="endpoints">At least one.</param>
    /// <param name="shares">One per endpoint; they add up to 1.</param>
    public RingHashGroup(BalancedEndpoint[] endpoints, double[] shares, RingHashSize size)
    {
        var most = (double)Math.Min(size.Max, Cap);
        var least = (double)Math.Max(1, Math.Min(size.Min, Cap));
        var smallest = shares.Min();
        var scale = Math.Min(Math.Ceiling(smallest * least) / smallest, most);
        var hashes = new List<ulong>((int)Math.Ceiling(scale) + 1);
        var owners = new List<BalancedEndpoint>(hashes.Capacity);
        var target = 0.0;
        for (var i = 0; i < endpoints.Length; i++)
        {
            var name = endpoints[i].Config.HashKey ?? endpoints[i].Config.HostPort;
            target += scale * shares[i];
            for (var number = 0; hashes.Count < target; number++)
            {
                hashes.Add(XxHash64.HashToUInt64(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{name}_{number}"))));
                owners.Add(endpoints[i]);
            }
        }

        (_hashes, _owners) = ([.. hashes], [.. owners]);
        Array.Sort(_hashes, _owners);
    }

    public int Count => _hashes.Length;

    /// <summary>The owner of the hash, else the next other one along the ring.</summary>
    public override BalancedEndpoint? Pick(in PickRequest request)
    {
        var start = Array.BinarySearch(_hashes, request.Hash);
        start = start < 0 ? ~start : start;
        for (var i = 0; i < _owners.Length; i++)
        {
            var at = start + i;
            var owner = _owners[at < _owners.Length ? at : at - _owners.Length];
            if (request.Takes(owner))
            {
                return owner;
            }
        }

        return null;
    }
}
