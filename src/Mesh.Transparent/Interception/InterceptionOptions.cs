using System.Net;

namespace Mesh.Transparent.Interception;

/// <summary>What writes the rules.</summary>
internal enum InterceptionBackend
{
    /// <summary>nf_tables itself, over netlink: needs no program in the image.</summary>
    Nft,

    /// <summary>The iptables programs that write nf_tables.</summary>
    IptablesNft,

    /// <summary>The iptables programs that write the kernel's older tables.</summary>
    IptablesLegacy,
}

/// <summary>Which connections of this network namespace go through the proxy.</summary>
internal sealed record InterceptionOptions
{
    public InterceptionBackend Backend { get; init; }

    /// <summary>Whose connections are never redirected: the proxy's own.</summary>
    public uint ProxyUid { get; init; } = 2102;

    /// <summary>The same by group, for those who run several programs beside the proxy; null: no group.</summary>
    public uint? ProxyGid { get; init; }

    public ushort OutboundPort { get; init; } = 4140;

    public ushort InboundPort { get; init; } = 4143;

    /// <summary>The only ports redirected inbound; empty: all.</summary>
    public IReadOnlyList<PortRange> InboundPorts { get; init; } = [];

    public IReadOnlyList<PortRange> SkipInboundPorts { get; init; } = [];

    public IReadOnlyList<PortRange> SkipOutboundPorts { get; init; } = [];

    /// <summary>Destinations that are called directly.</summary>
    public IReadOnlyList<IPNetwork> SkipSubnets { get; init; } = [];

    public bool IpV6 { get; init; } = true;
}
