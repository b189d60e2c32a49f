using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Translation;

/// <summary>A model's endpoints by address. Built when somebody asks by address, which most changes of endpoints make nobody do.</summary>
internal sealed class AddressIndex
{
    private readonly Dictionary<string, (ServiceName Service, int Port, string? Instance)> _listeners = new(StringComparer.Ordinal);
    private readonly Dictionary<string, List<(ServiceName Service, int Port)>> _endpoints = new(StringComparer.Ordinal);

    public AddressIndex(MeshModel model)
    {
        foreach (var service in model.Services.Values.OrderBy(s => s.Name.Namespace, StringComparer.Ordinal).ThenBy(s => s.Name.Name, StringComparer.Ordinal))
        {
            foreach (var port in service.Ports)
            {
                foreach (var ip in service.ClusterIps)
                {
                    _listeners[ModelIndex.HostPort(ip, port.Port)] = (service.Name, port.Port, null);
                }

                foreach (var endpoint in service.Endpoints.Where(e => e.PortName == port.Name))
                {
                    if (!_endpoints.TryGetValue(endpoint.HostPort, out var behind))
                    {
                        _endpoints[endpoint.HostPort] = behind = [];
                    }

                    behind.Add((service.Name, port.Port));
                    // Several Services may select one Pod: the first by name has its address. A ClusterIP goes before an endpoint.
                    // Where a Service has an address of its own, or is headless, who calls an endpoint means that one.
                    _listeners.TryAdd(endpoint.HostPort, (service.Name, port.Port, service.IsHeadless || service.ClusterIps.Length > 0 ? endpoint.Instance : null));
                }
            }
        }
    }

    /// <summary>The Services' ports that an address stands behind, by the Services' names.</summary>
    public IReadOnlyList<(ServiceName Service, int Port)> Behind(string hostPort) => _endpoints.TryGetValue(hostPort, out var services) ? services : [];

    public bool TryListener(string hostPort, out ServiceName service, out int port, out string? instance)
    {
        var found = _listeners.TryGetValue(hostPort, out var listener);
        (service, port, instance) = listener;
        return found;
    }
}
