using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Tap;

/// <summary>What a model says that taps ask for. Immutable.</summary>
internal sealed class TapIndex
{
    private readonly MeshModel _model;
    private readonly Dictionary<(string Namespace, string Account), HashSet<string>> _services = [];
    private readonly Dictionary<string, ServiceName> _behind = new(StringComparer.Ordinal);
    private readonly HashSet<(string Namespace, string Account)> _forbidden = [];
    private readonly ILookup<(string Namespace, string Account), IReadOnlyDictionary<string, string>> _labels;

    public TapIndex(MeshModel model)
    {
        _model = model;
        foreach (var service in model.Services.Values.OrderBy(s => s.Name.Namespace, StringComparer.Ordinal).ThenBy(s => s.Name.Name, StringComparer.Ordinal))
        {
            foreach (var endpoint in service.Endpoints)
            {
                // As everywhere: of several Services the first by name has an address.
                _behind.TryAdd(endpoint.HostPort, service.Name);
                if (endpoint.ServiceAccount is { } account)
                {
                    var key = (service.Name.Namespace, account);
                    (_services.TryGetValue(key, out var names) ? names : _services[key] = new(StringComparer.Ordinal)).Add(service.Name.Name);
                    if (service.TapDisabled)
                    {
                        _forbidden.Add(key);
                    }
                }
            }
        }

        _labels = model.Workloads.Where(w => w.ServiceAccount is not null).ToLookup(w => (w.Namespace, w.ServiceAccount!), IReadOnlyDictionary<string, string> (w) => w.Labels);
        foreach (var workload in model.Workloads)
        {
            if (workload is { TapDisabled: true, ServiceAccount: { } account })
            {
                _forbidden.Add((workload.Namespace, account));
            }
        }
    }

    /// <summary>It is made of this model.</summary>
    public bool IsOf(MeshModel model) => ReferenceEquals(_model, model);

    /// <summary>Annotation <c>meshlib.io/disable-tap</c>, on the Namespace, a Service that it stands behind, or any Pod of that account: who is meant can't be told apart safely by what a process says of itself.</summary>
    public bool Forbids(string ns, string account) => _model.UntappableNamespaces.Contains(ns) || _forbidden.Contains((ns, account));

    /// <summary>Calls to it are nobody's business either.</summary>
    public bool ForbidsService(string ns, string name) =>
        _model.UntappableNamespaces.Contains(ns) || (_model.Services.TryGetValue(new ServiceName(ns, name), out var service) && service.TapDisabled);

    /// <summary>The Service that an address stands behind, in that namespace.</summary>
    public string? ServiceAt(string hostPort, string ns) => _behind.TryGetValue(hostPort, out var service) && service.Namespace == ns ? service.Name : null;

    /// <summary>Any Pod of that account has these labels: which of them a process is, only it could say.</summary>
    public bool Has(string ns, string account, LabelSelector labels) => _labels[(ns, account)].Any(labels.Matches);

    /// <summary>One of a data plane's names: its workload's, its account's, or that of a Service it stands behind.</summary>
    public bool IsCalled(TapSession session, string name, string? ns) =>
        (ns is null || ns == session.Namespace)
        && (name == session.Workload || name == session.Account || (_services.TryGetValue((session.Namespace, session.Account), out var names) && names.Contains(name)));
}
