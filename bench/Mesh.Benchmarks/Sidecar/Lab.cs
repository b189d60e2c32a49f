using System.Globalization;
using System.Net;

namespace Mesh.Benchmarks.Sidecar;

/// <summary>
/// Network namespaces on one bridge: a hub (10.77.0.1, with the control plane) and a namespace per host. Their names begin with BENCH_LAB (default: "mb" and this
/// process's number), by which eng/bench ends what is left should this process be killed.
/// </summary>
internal sealed class Lab : IAsyncDisposable
{
    private readonly string _prefix = Environment.GetEnvironmentVariable("BENCH_LAB") ?? string.Create(CultureInfo.InvariantCulture, $"mb{Environment.ProcessId}");
    private readonly List<LabHost> _hosts = [];

    private Lab()
    {
    }

    public LabHost Hub => _hosts[0];

    /// <summary>Why there can be no lab on this machine; null when there can.</summary>
    public static string? Lacks()
    {
        string[] missing = [.. ((string[])["ip", "iptables", "setpriv", "h2load", "haproxy", "nginx"]).Where(p => !Tool.Exists(p))];
        return !Environment.IsPrivilegedProcess ? "network namespaces need root"
            : missing.Length > 0 ? $"missing programs: {string.Join(", ", missing)} (Debian: iproute2 iptables util-linux nghttp2-client haproxy nginx)"
            : null;
    }

    public static async Task<Lab> CreateAsync()
    {
        var lab = new Lab();
        try
        {
            var hub = await lab.AddNamespaceAsync("hub", IPAddress.Parse("10.77.0.1"));
            await hub.RunAsync("ip", "link", "add", "br0", "type", "bridge");
            await hub.RunAsync("ip", "address", "add", "10.77.0.1/16", "dev", "br0");
            await hub.RunAsync("ip", "link", "set", "br0", "up");
            return lab;
        }
        catch
        {
            await lab.DisposeAsync();
            throw;
        }
    }

    public async Task<LabHost> AddAsync(string name)
    {
        var number = _hosts.Count;
        var host = await AddNamespaceAsync(name, IPAddress.Parse(string.Create(CultureInfo.InvariantCulture, $"10.77.1.{number}")));
        var port = string.Create(CultureInfo.InvariantCulture, $"p{number}");
        await Tool.RunAsync("ip", "-n", host.Namespace, "link", "add", "eth0", "type", "veth", "peer", "name", port, "netns", Hub.Namespace);
        await Hub.RunAsync("ip", "link", "set", port, "master", "br0", "up");
        await host.RunAsync("ip", "address", "add", $"{host.Address}/16", "dev", "eth0");
        await host.RunAsync("ip", "link", "set", "eth0", "up");
        // An address is redirected only if there is a way to it.
        await host.RunAsync("ip", "route", "add", "default", "via", "10.77.0.1");
        return host;
    }

    private async Task<LabHost> AddNamespaceAsync(string name, IPAddress address)
    {
        var host = new LabHost($"{_prefix}-{name}", address);
        await Tool.RunAsync("ip", "netns", "add", host.Namespace);
        _hosts.Add(host);
        await host.RunAsync("ip", "link", "set", "lo", "up");
        return host;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var host in Enumerable.Reverse(_hosts))
        {
            await host.DisposeAsync();
            await Tool.RunAsync("ip", "netns", "delete", host.Namespace);
        }
    }
}
