using System.Net;

namespace Mesh.Testing.Namespaces;

/// <summary>Several namespaces on one bridge, as pods on a node: each with <c>eth0</c>, an IPv4 and an IPv6 address, and a default route.</summary>
/// <remarks>The bridge stands in a namespace of its own and is every pod's gateway: virtual addresses have a route, and nobody answers them.</remarks>
internal sealed class PodNetwork : IAsyncDisposable
{
    private const int Gateway = 254;
    private readonly List<Pod> _pods = [];
    private readonly NetworkNamespace _node;

    private PodNetwork(NetworkNamespace node) => _node = node;

    /// <summary>The namespace with the bridge: whatever pods send to each other passes its interfaces.</summary>
    public NetworkNamespace Node => _node;

    /// <summary>The pods, in the order of their names.</summary>
    public IReadOnlyList<Pod> Pods => _pods;

    public Pod this[string name] => _pods.Single(pod => pod.Name == name);

    /// <summary>Makes a network with a pod for each name (at most 200; short, as they become part of interfaces' names).</summary>
    public static async Task<PodNetwork> CreateAsync(params string[] names)
    {
        var network = new PodNetwork(await NetworkNamespace.CreateAsync("node"));
        try
        {
            await network._node.IpAsync("link add br0 type bridge");
            await network._node.IpAsync("link set br0 up");
            await network._node.AddAddressAsync($"10.77.0.{Gateway}/24", "br0");
            await network._node.AddAddressAsync($"fd77::{Gateway}/64", "br0");
            foreach (var name in names)
            {
                await network.AddAsync(name);
            }

            return network;
        }
        catch
        {
            await network.DisposeAsync();
            throw;
        }
    }

    /// <summary>Adds one pod while the others run.</summary>
    public async Task<Pod> AddAsync(string name)
    {
        var number = _pods.Count + 1;
        var pod = new Pod(name, await NetworkNamespace.CreateAsync(name), IPAddress.Parse($"10.77.0.{number}"), IPAddress.Parse($"fd77::{number}"));
        _pods.Add(pod);
        await NetworkNamespace.ConnectAsync(pod.Namespace, "eth0", _node, $"veth{number}");
        await _node.IpAsync($"link set veth{number} master br0");
        await pod.Namespace.AddAddressAsync($"{pod.IpV4}/24", "eth0");
        await pod.Namespace.AddAddressAsync($"{pod.IpV6}/64", "eth0");
        await pod.Namespace.IpAsync($"route add default via 10.77.0.{Gateway}");
        await pod.Namespace.IpAsync($"-6 route add default via fd77::{Gateway}");
        return pod;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var pod in _pods)
        {
            await pod.Namespace.DisposeAsync();
        }

        await _node.DisposeAsync();
    }
}

/// <summary>One host of a <see cref="PodNetwork"/>.</summary>
internal sealed record Pod(string Name, NetworkNamespace Namespace, IPAddress IpV4, IPAddress IpV6);
