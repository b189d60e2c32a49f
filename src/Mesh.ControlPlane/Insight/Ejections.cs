using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Telemetry;

namespace Mesh.ControlPlane.Insight;

/// <summary>Tells which endpoints callers begin and cease to leave out. Owned by one loop.</summary>
internal sealed class Ejections(ChangeLog changes)
{
    private Dictionary<(ServiceName Service, string Endpoint), string> _now = [];

    public void Look(MeshModel model, IGoldenQueries golden)
    {
        var next = new Dictionary<(ServiceName, string), string>();
        foreach (var name in model.Services.Keys)
        {
            foreach (var endpoint in golden.Balancers(name.Name, name.Namespace).Where(b => b.State == "ejected").GroupBy(b => b.Endpoint))
            {
                next[(name, endpoint.Key)] = string.Join(", ", endpoint.Select(b => b.Source).Distinct().Order(StringComparer.Ordinal));
            }
        }

        foreach (var ((service, endpoint), by) in next.Where(n => !_now.ContainsKey(n.Key)))
        {
            changes.Add(ChangeKinds.Endpoint, $"{service}: {endpoint} is ejected by {by}", service.Namespace, service.Name);
        }

        foreach (var ((service, endpoint), _) in _now.Where(n => !next.ContainsKey(n.Key)))
        {
            changes.Add(ChangeKinds.Endpoint, $"{service}: {endpoint} is no longer ejected", service.Namespace, service.Name, recovery: true);
        }

        _now = next;
    }
}
