using Mesh.Config;
using Mesh.Identity;
using Mesh.Outbound;

namespace Mesh.Testing.Simulation;

/// <summary>Servers by address, and how long a packet takes between them and the callers.</summary>
internal sealed class SimulatedNetwork(SimulatedWorld world)
{
    private readonly Dictionary<string, SimulatedServer> _servers = new(StringComparer.Ordinal);

    public SimulatedWorld World => world;

    /// <summary>One way, within a zone.</summary>
    public Delay OneWay { get; set; } = Delays.Fixed(0.1);

    /// <summary>Added one way between zones.</summary>
    public TimeSpan BetweenZones { get; set; } = TimeSpan.FromMilliseconds(0.5);

    /// <summary>Requests that one HTTP/2 connection carries at a time.</summary>
    public int MaxStreams { get; set; } = 100;

    public int OpenConnections { get; set; }

    public int OpenStreams { get; set; }

    /// <summary>Requests that wait for a connection.</summary>
    public int Waiting { get; set; }

    public long ConnectionsMade { get; set; }

    public IReadOnlyCollection<SimulatedServer> Servers => _servers.Values;

    public void Add(SimulatedServer server) => _servers.Add(server.HostPort, server);

    public SimulatedServer? Find(string hostPort) => _servers.GetValueOrDefault(hostPort);

    /// <summary>The way from a zone to any endpoint.</summary>
    public IEndpointTransport From(string zone) => new Transport(this, zone);

    public TimeSpan Draw(string from, string? to) => OneWay(world.Random) + (to is null || from == to ? TimeSpan.Zero : BetweenZones);

    private sealed class Transport(SimulatedNetwork network, string zone) : IEndpointTransport
    {
        public HttpMessageHandler Create(Endpoint endpoint, Cluster cluster, WorkloadIdentity? identity, bool http2, Action connected) =>
            new SimulatedConnections(network, zone, endpoint.HostPort, cluster.ConnectTimeout, connected);
    }
}
