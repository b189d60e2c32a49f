using System.Net;

namespace Mesh.Transparent.Interception;

/// <summary>One rule: where all that is given matches, go on to the proxy's port, or (without one) leave the connection alone.</summary>
/// <param name="Why">Kept in the kernel with the rule, where the backend can.</param>
internal sealed record RedirectRule(string Why)
{
    public bool IpV6Only { get; init; }

    public uint? Uid { get; init; }

    public uint? Gid { get; init; }

    /// <summary>The interface it leaves by (OUTPUT) or came in by (PREROUTING).</summary>
    public string? Interface { get; init; }

    /// <summary>TCP destination ports.</summary>
    public PortRange? Ports { get; init; }

    public IPNetwork? Subnet { get; init; }

    /// <summary>Redirects TCP to this port; null: return.</summary>
    public ushort? To { get; init; }
}

/// <summary>The rules in their order: the first that matches decides. Every backend writes these.</summary>
/// <remarks>
/// As Linkerd has them: whatever leaves by <c>lo</c> is let alone, and with it what a process sends to its own pod's address. A Service's address leaves by
/// the pod's interface and is redirected, also when this pod is its only endpoint.
/// </remarks>
internal sealed record RedirectRules(IReadOnlyList<RedirectRule> Output, IReadOnlyList<RedirectRule> Prerouting)
{
    /// <summary>Readiness, liveness and metrics are for callers outside the mesh.</summary>
    public const ushort AdminPort = 4191;

    public static RedirectRules From(InterceptionOptions options) => new([.. OutputOf(options)], [.. PreroutingOf(options)]);

    private static IEnumerable<RedirectRule> OutputOf(InterceptionOptions options)
    {
        foreach (var rule in FamilyOf(options))
        {
            yield return rule;
        }

        yield return new("the proxy's own connections") { Uid = options.ProxyUid };
        if (options.ProxyGid is { } group)
        {
            yield return new("connections of the proxy's group") { Gid = group };
        }

        yield return new("within the pod") { Interface = "lo" };
        foreach (var ports in options.SkipOutboundPorts)
        {
            yield return new("skipped outbound ports") { Ports = ports };
        }

        foreach (var subnet in options.SkipSubnets)
        {
            yield return new("skipped subnets") { Subnet = subnet };
        }

        yield return new("outbound") { To = options.OutboundPort };
    }

    private static IEnumerable<RedirectRule> PreroutingOf(InterceptionOptions options)
    {
        foreach (var rule in FamilyOf(options))
        {
            yield return rule;
        }

        yield return new("within the pod") { Interface = "lo" };
        yield return new("the proxy's admin port") { Ports = new(AdminPort, AdminPort) };
        foreach (var ports in options.SkipInboundPorts.Where(ports => ports != new PortRange(AdminPort, AdminPort)))
        {
            yield return new("skipped inbound ports") { Ports = ports };
        }

        if (options.InboundPorts.Count == 0)
        {
            yield return new("inbound") { To = options.InboundPort };
        }

        foreach (var ports in options.InboundPorts)
        {
            yield return new("inbound") { Ports = ports, To = options.InboundPort };
        }
    }

    private static IEnumerable<RedirectRule> FamilyOf(InterceptionOptions options) => options.IpV6 ? [] : [new("IPv6 is not redirected") { IpV6Only = true }];
}
