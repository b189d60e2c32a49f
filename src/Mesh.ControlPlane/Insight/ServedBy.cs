using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Insight;

/// <summary>Which Service a workload stands behind: it is drawn as that. Built once per model; thread-safe.</summary>
internal sealed class ServedBy
{
    private readonly Dictionary<(string Namespace, string Account), ServiceName> _byAccount = [];
    private readonly MeshModel _model;

    public ServedBy(MeshModel model)
    {
        _model = model;
        foreach (var service in model.Services.Values.OrderBy(s => s.Name.Namespace, StringComparer.Ordinal).ThenBy(s => s.Name.Name, StringComparer.Ordinal))
        {
            foreach (var account in service.Endpoints.Select(e => e.ServiceAccount).OfType<string>().Distinct(StringComparer.Ordinal))
            {
                // One that has the workload's own name goes before the others; of those the first by name.
                if (service.Name.Name == account)
                {
                    _byAccount[(service.Name.Namespace, account)] = service.Name;
                }
                else
                {
                    _byAccount.TryAdd((service.Name.Namespace, account), service.Name);
                }
            }
        }
    }

    public MeshModel Model => _model;

    /// <summary>The Service of that name, else the one behind which a workload of that name stands; null: neither.</summary>
    public ServiceName? Find(string ns, string workload) =>
        _model.Services.ContainsKey(new ServiceName(ns, workload)) ? new ServiceName(ns, workload)
        : _byAccount.TryGetValue((ns, workload), out var service) ? service : null;

    /// <summary>Every Service with an endpoint of this service account.</summary>
    public IEnumerable<ServiceName> AllOf(string ns, string account) =>
        _model.Services.Values.Where(s => s.Name.Namespace == ns && s.Endpoints.Any(e => e.ServiceAccount == account)).Select(s => s.Name);
}
