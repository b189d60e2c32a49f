using System.Net;
using System.Net.Sockets;
using Mesh.Hosting;
using Mesh.Transparent.Admin;

namespace Mesh.Transparent;

/// <summary>What an operator sets of the proxy itself; what it shares with the libraries is in <c>MeshOptions</c>. Immutable; holds no secret.</summary>
internal sealed record SidecarOptions
{
    /// <summary>Where the app's connections arrive. Default: port 4140 of both loopback addresses, as far as the machine has them.</summary>
    public IReadOnlyList<IPEndPoint> OutboundListen { get; init; } = CanBind(IPAddress.IPv6Loopback)
        ? [new(IPAddress.Loopback, 4140), new(IPAddress.IPv6Loopback, 4140)]
        : [new(IPAddress.Loopback, 4140)];

    /// <summary>Where connections to the app arrive. Default: port 4143 of every address.</summary>
    public IReadOnlyList<IPEndPoint> InboundListen { get; init; } = [new(AnyAddress, 4143)];

    /// <summary>Where the admin port listens; all but its probes and metrics is answered to loopback alone. Default: port 4191 of every address.</summary>
    public IReadOnlyList<IPEndPoint> AdminListen { get; init; } = [new(AnyAddress, 4191)];

    /// <summary>The addresses under which others call this workload. Default: null, the addresses of the machine's interfaces.</summary>
    public IReadOnlyList<IPAddress>? InstanceIps { get; init; }

    /// <summary>The app's ports whose policies are fetched before the proxy is ready, at most 256. Default: none; the policy of another port is fetched when it is called first.</summary>
    public PortList InboundPorts { get; init; } = PortList.Empty;

    /// <summary>Ports whose bytes are passed on as they are, without a look at the protocol. Default: those of servers that speak first.</summary>
    public PortList OpaquePorts { get; init; } = PortList.Of(25, 587, 3306, 4444, 5432, 6379, 9300, 11211);

    /// <summary>The app's ports that the mesh leaves alone. Default: none.</summary>
    public PortList SkipInboundPorts { get; init; } = PortList.Empty;

    /// <summary>What becomes of calls to addresses that the mesh does not know. Default: they pass as they are.</summary>
    public EgressMode Egress { get; init; } = EgressMode.Allow;

    /// <summary>Default: none is written.</summary>
    public MeshAccessLog AccessLog { get; init; } = MeshAccessLog.Off;

    /// <summary>How long requests in flight may take when the proxy stops, up to a day; zero ends them at once. Default: 2 min, Linkerd's.</summary>
    public TimeSpan DrainTimeout { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>Which log entries are written at start; the admin port changes it. Default: warnings, and what the mesh says of its state.</summary>
    public LogFilters LogLevel { get; init; } = LogFilters.Default;

    /// <summary>Default: one plain line per entry.</summary>
    public LogFormat LogFormat { get; init; } = LogFormat.Plain;

    private static IPAddress AnyAddress => CanBind(IPAddress.IPv6Any) ? IPAddress.IPv6Any : IPAddress.Any;

    // Asked of the kernel: a container may have IPv6 sockets and no ::1.
    private static bool CanBind(IPAddress address)
    {
        try
        {
            using var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(address, 0));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}

/// <summary>What becomes of calls that leave the mesh.</summary>
internal enum EgressMode
{
    /// <summary>They pass as they are: <c>allow</c>.</summary>
    Allow,

    /// <summary>They are refused: <c>deny</c>.</summary>
    Deny,
}

/// <summary>How the proxy's own log entries look.</summary>
internal enum LogFormat
{
    /// <summary>One plain line each: <c>plain</c>.</summary>
    Plain,

    /// <summary>One JSON object a line: <c>json</c>.</summary>
    Json,
}
