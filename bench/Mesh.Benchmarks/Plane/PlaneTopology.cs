using System.Globalization;

namespace Mesh.Benchmarks.Plane;

/// <summary>The simulated Services, their names on the wire, and who watches which.</summary>
internal sealed class PlaneTopology
{
    private readonly PlaneSettings _settings;
    private readonly Dictionary<string, int> _positions = new(StringComparer.Ordinal);
    private int _addresses;

    public PlaneTopology(PlaneSettings settings)
    {
        _settings = settings;
        Services = [.. Enumerable.Range(0, settings.Services).Select(i => new PlaneService(this, i))];
        foreach (var service in Services)
        {
            (_positions[service.Host], _positions[service.Cluster]) = (service.Index, service.Index);
        }
    }

    public PlaneService[] Services { get; }

    public static string Namespace(int number) => string.Create(CultureInfo.InvariantCulture, $"ns-{number:D2}");

    public string NamespaceOf(int number) => Namespace(number % _settings.Namespaces);

    /// <summary>No address comes twice: so an answer shows which changes it holds.</summary>
    public string NextAddress()
    {
        var number = ++_addresses;
        return string.Create(CultureInfo.InvariantCulture, $"10.{(number >> 16) & 63}.{(number >> 8) & 255}.{number & 255}");
    }

    /// <summary>The Services that a client watches, each watched by as many as any other.</summary>
    public PlaneService[] WatchedBy(int client) =>
        [.. Enumerable.Range(0, _settings.Watch).Select(k => Services[(int)(((long)client * _settings.Watch + k) % Services.Length)])];

    /// <summary>How many clients learn of a change.</summary>
    public int[] Watchers()
    {
        var watchers = new int[Services.Length];
        for (var client = 0; client < _settings.Clients; client++)
        {
            foreach (var service in WatchedBy(client))
            {
                watchers[service.Index]++;
            }
        }

        return watchers;
    }

    /// <returns>−1 for a name of no Service.</returns>
    public int Find(string name) => _positions.GetValueOrDefault(name, -1);

    public IEnumerable<string> Fill(int endpoints) => Enumerable.Range(0, endpoints).Select(_ => NextAddress());
}

/// <summary>One Service: what stands behind it now, and what changed so far. Changed by the feed alone.</summary>
internal sealed class PlaneService
{
    private PlaneChange[] _changes = new PlaneChange[64];
    private int _count;

    public PlaneService(PlaneTopology topology, int index)
    {
        Index = index;
        Name = string.Create(CultureInfo.InvariantCulture, $"svc-{index:D4}");
        Namespace = topology.NamespaceOf(index);
        Host = $"{Name}.{Namespace}.svc.cluster.local:80";
        Cluster = $"outbound|80||{Name}.{Namespace}.svc.cluster.local";
    }

    public int Index { get; }

    public string Name { get; }

    public string Namespace { get; }

    /// <summary>The name of its listener and of its routes.</summary>
    public string Host { get; }

    public string Cluster { get; }

    public List<string> Addresses { get; } = [];

    /// <summary>Changes, oldest first. What stands there stays.</summary>
    public ReadOnlySpan<PlaneChange> Changes => Volatile.Read(ref _changes).AsSpan(0, Volatile.Read(ref _count));

    public void Add(PlaneChange change)
    {
        if (_count == _changes.Length)
        {
            var larger = new PlaneChange[_count * 2];
            _changes.CopyTo(larger, 0);
            Volatile.Write(ref _changes, larger);
        }

        _changes[_count] = change;
        Volatile.Write(ref _count, _count + 1);
    }
}
