using System.Net;
using System.Net.Sockets;

namespace Mesh.Traffic;

/// <summary>Networks, and whether an address is in one of them. Immutable and thread-safe.</summary>
internal sealed class AddressRanges(IEnumerable<IPNetwork> networks)
{
    private readonly IPNetwork[] _networks = [.. networks];

    public static AddressRanges None { get; } = new([]);

    public bool IsEmpty => _networks.Length == 0;

    /// <summary>A network as <c>10.0.0.0/8</c>, or one address.</summary>
    public static bool TryParse(string text, out IPNetwork network)
    {
        if (IPNetwork.TryParse(text, out network))
        {
            return true;
        }

        // A zone is of this machine and no part of an address; 10.1 is another spelling of 10.0.0.1, and hardly meant.
        if (text.Contains('%', StringComparison.Ordinal) || text.Contains('/', StringComparison.Ordinal) || !IPAddress.TryParse(text, out var address)
            || (address.AddressFamily == AddressFamily.InterNetwork && address.ToString() != text))
        {
            return false;
        }

        network = new IPNetwork(address, address.GetAddressBytes().Length * 8);
        return true;
    }

    /// <summary>Of texts that <see cref="TryParse"/> takes; others are left out.</summary>
    public static AddressRanges Of(IEnumerable<string> texts)
    {
        var networks = new List<IPNetwork>();
        foreach (var text in texts)
        {
            if (TryParse(text, out var network))
            {
                networks.Add(network);
            }
        }

        return networks.Count == 0 ? None : new AddressRanges(networks);
    }

    /// <summary>An IPv4 address in IPv6 clothes is the IPv4 address.</summary>
    public bool Contains(IPAddress address)
    {
        if (address.IsIPv4MappedToIPv6)
        {
            address = address.MapToIPv4();
        }

        foreach (var network in _networks)
        {
            if (network.Contains(address))
            {
                return true;
            }
        }

        return false;
    }
}
