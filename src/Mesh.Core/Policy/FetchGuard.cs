using System.Net;
using System.Net.Sockets;
using Mesh.Traffic;

namespace Mesh.Policy;

/// <summary>Which addresses the mesh connects to on behalf of a configuration: whoever may write one must not reach what this workload alone can (server-side request forgery). Immutable and thread-safe.</summary>
/// <remarks>Asked about the address that is connected to, after names were resolved: a name that changes its mind between check and use gains nothing.</remarks>
/// <param name="allowed">What the operator allows beside the public internet. Metadata services of clouds stay closed.</param>
internal sealed class FetchGuard(AddressRanges allowed)
{
    // IANA's special-purpose registries: what is not globally reachable.
    private static readonly AddressRanges _closed = AddressRanges.Of(
    [
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
    ]);

    // AWS, Azure, GCP, Oracle, Alibaba; ECS and EKS credentials; Azure's wire server, which has a public address.
    private static readonly AddressRanges _metadata = AddressRanges.Of(
    [
        "169.254.169.254", "169.254.169.253", "169.254.170.2", "169.254.170.23", "100.100.100.200", "192.0.0.192", "168.63.129.16",
        "fd00:ec2::254", "fd00:ec2::253", "fd00:ec2::23", "fd20:ce::254", "fe80::a9fe:a9fe",
    ]);

    private static readonly IPNetwork _nat64 = IPNetwork.Parse("64:ff9b::/96");
    private static readonly IPNetwork _sixToFour = IPNetwork.Parse("2002::/16");

    /// <summary>Null when it may be connected to; else what the address is.</summary>
    public string? WhyNot(IPAddress address)
    {
        // Whatever carries an IPv4 address goes to that one.
        var target = Inner(address);
        return _metadata.Contains(target) ? "a cloud's metadata service"
            : allowed.Contains(target) ? null
            : _closed.Contains(target) ? "not a public address"
            : null;
    }

    private static IPAddress Inner(IPAddress address)
    {
        if (address.AddressFamily != AddressFamily.InterNetworkV6)
        {
            return address;
        }

        if (address.IsIPv4MappedToIPv6)
        {
            return address.MapToIPv4();
        }

        // A zone names an interface; networks know none.
        var bytes = address.GetAddressBytes();
        var plain = address.ScopeId == 0 ? address : new IPAddress(bytes);
        return _nat64.Contains(plain) ? new IPAddress(bytes.AsSpan(12)) : _sixToFour.Contains(plain) ? new IPAddress(bytes.AsSpan(2, 4)) : plain;
    }
}
