using System.Net;
using Mesh.Config;
using Mesh.Xds.Decoding;

namespace Mesh.Cli.Agent;

/// <summary>Says to the control plane, on the agent's own authenticated stream, where its workload serves mesh TLS: callers then use it there (contracts §3).</summary>
internal sealed class ServedAddresses : IDisposable
{
    private readonly IConfigSource _config;
    private readonly Dictionary<string, IPEndPoint> _asked;
    private readonly Action<string> _tell;
    private readonly Lock _lock = new();
    private readonly HashSet<string> _told = new(StringComparer.Ordinal);
    private readonly IDisposable _subscription;

    /// <param name="tell">Told once per address that no Service lists.</param>
    public ServedAddresses(IConfigSource config, IEnumerable<IPEndPoint> addresses, Action<string> tell)
    {
        (_config, _tell) = (config, tell);
        _asked = addresses.Distinct().ToDictionary(a => XdsTypes.InboundPrefix + a, StringComparer.Ordinal);
        foreach (var name in _asked.Keys)
        {
            config.Watch(name);
        }

        _subscription = config.Snapshots.Subscribe(Look);
    }

    /// <summary>Reads <c>IP:PORT</c>, IPv6 in brackets; 0.0.0.0 and [::] stand for every address of this machine.</summary>
    public static bool TryParse(string text, out IPEndPoint address) =>
        IPEndPoint.TryParse(text, out address!) && address.Port != 0 && text.EndsWith($":{address.Port}", StringComparison.Ordinal);

    public void Dispose()
    {
        _subscription.Dispose();
        foreach (var name in _asked.Keys)
        {
            _config.Unwatch(name);
        }
    }

    private void Look(MeshSnapshot snapshot)
    {
        foreach (var (name, address) in _asked)
        {
            var missing = snapshot.Listeners.GetValueOrDefault(name) as ListenerResult.DoesNotExist;
            if (missing is not null && IsNew(name))
            {
                _tell($"{address} is no endpoint of a Service, so nobody calls it through the mesh. Add it to an EndpointSlice. ({missing.Reason})");
            }
        }
    }

    private bool IsNew(string name)
    {
        lock (_lock)
        {
            return _told.Add(name);
        }
    }
}
