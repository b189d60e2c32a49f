using System.Net;

namespace Mesh.ControlPlane.Model;

/// <summary>Where callers are, as far as a model tells: pods need not know their own zone. Built once per model; thread-safe.</summary>
internal sealed class Places
{
    private readonly ILookup<string, Workload>? _byAddress;
    private readonly HashSet<string> _dependent;

    public Places(MeshModel model)
    {
        _dependent = model.Services.Values.Where(s => s.DependsOnPlace).Select(s => $"{s.Name.Name}.{s.Name.Namespace}").ToHashSet(StringComparer.Ordinal);
        _byAddress = _dependent.Count == 0 ? null : model.Workloads.Where(w => w.Port is null && w.Place != Place.Unknown).ToLookup(w => w.Address, StringComparer.Ordinal);
    }

    /// <summary>The endpoints of this cluster are others for other places.</summary>
    /// <param name="cluster"><c>outbound|80||catalog.shop.svc.cluster.local</c>.</param>
    public bool Matter(string cluster)
    {
        if (_dependent.Count == 0 || cluster.LastIndexOf('|') is var start && start < 0)
        {
            return false;
        }

        var service = cluster.AsSpan(start + 1);
        var dot = service.IndexOf('.');
        var end = dot < 0 ? -1 : service[(dot + 1)..].IndexOf('.');
        return end > 0 && _dependent.GetAlternateLookup<ReadOnlySpan<char>>().Contains(service[..(dot + 1 + end)]);
    }

    /// <summary>As the node says it, else that of its Pod: the one with its namespace and account at one of its addresses.</summary>
    public Place Of(NodeContext node)
    {
        if (node.Place.Zone.Length > 0 && node.Place.Node.Length > 0)
        {
            return node.Place;
        }

        foreach (var ip in node.InstanceIps)
        {
            var address = IPAddress.TryParse(ip, out var parsed) ? parsed.ToString() : ip;
            foreach (var pod in _byAddress?[address] ?? [])
            {
                if (pod.Namespace == node.Namespace && (node.Identity is null || pod.ServiceAccount == node.Identity.ServiceAccount))
                {
                    return node.Place.Zone.Length > 0 ? node.Place with { Node = pod.Place.Node } : pod.Place;
                }
            }
        }

        return node.Place;
    }
}
