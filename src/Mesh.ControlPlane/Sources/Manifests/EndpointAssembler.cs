using System.Collections.Immutable;
using System.Globalization;
using Mesh.ControlPlane.Model;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>Finds the endpoints of Services: from their slices, else from the Pods they select; and who each runs as.</summary>
/// <param name="inMotion">
/// Kinds come apart, as from a cluster: what refers to something that is not there may only be ahead of it. An endpoint whose Pod is not there is left out till it is, for nobody may reach
/// in plaintext by a race what is known to be meshed.
/// </param>
internal sealed class EndpointAssembler(
    Dictionary<ManifestKey, Manifest> objects, NodePlaces places, TrustDomain trustDomain, IMeshMarks marks, Func<string, ImmutableArray<string>> addressesOf,
    ImmutableArray<SourceProblem>.Builder problems, bool inMotion)
{
    private readonly ILookup<ServiceName, EndpointSliceManifest> _slices = objects.Values.OfType<EndpointSliceManifest>()
        .OrderBy(s => s.Key.Name, StringComparer.Ordinal).ToLookup(s => new ServiceName(s.Key.Namespace, s.Service));

    private readonly Dictionary<(string Namespace, string Account), SpiffeId> _identities = [];

    private readonly ILookup<string, PodManifest> _pods = objects.Values.OfType<PodManifest>()
        .OrderBy(p => p.Key.Name, StringComparer.Ordinal).ToLookup(p => p.Key.Namespace);

    public Service Service(ServiceManifest service) =>
        new(service.Name, [.. service.Ports.Select(p => new ServicePort(p.Name, p.Port, p.AppProtocol) { DeclaredOpaque = DeclaredOpaque(service, p) })], service.ExternalName is null ? Of(service) : [])
        {
            ClusterIps = service.ClusterIps,
            IsHeadless = service.Headless,
            ExternalName = service.ExternalName,
            ExternalAddresses = service.ExternalName is { } host ? addressesOf(host) : [],
            Distribution = service.Distribution,
            OnlyOwnNode = service.OnlyOwnNode,
            TapDisabled = service.TapDisabled,
        };

    private ImmutableArray<ServiceEndpoint> Of(ServiceManifest service)
    {
        var endpoints = _slices[service.Name].Any() ? FromSlices(service) : FromPods(service);
        var seen = new HashSet<(string, string, int)>();
        return
        [
            .. endpoints.Where(e => seen.Add((e.PortName, e.Address, e.Port)))
                .OrderBy(e => e.PortName, StringComparer.Ordinal).ThenBy(e => e.Address, StringComparer.Ordinal).ThenBy(e => e.Port),
        ];
    }

    /// <summary>Slices whose Service does not exist.</summary>
    public void ReportOrphans(ImmutableDictionary<ServiceName, Service> services)
    {
        foreach (var slice in inMotion ? [] : _slices.Where(s => !services.ContainsKey(s.Key)).SelectMany(s => s))
        {
            problems.Add(new SourceProblem(slice.Where, $"{slice.Key}: its Service '{slice.Key.Namespace}/{slice.Service}' does not exist, so nobody reaches its endpoints. Add the Service or correct label kubernetes.io/service-name."));
        }
    }

    /// <summary>What the annotations of a Service and its slices say of one of its ports; null where none stands.</summary>
    private bool? DeclaredOpaque(ServiceManifest service, ServicePortManifest port)
    {
        var slices = _slices[service.Name].Where(s => s.OpaquePorts is not null).ToArray();
        return service.OpaquePorts is null && slices.Length == 0 ? null
            : service.OpaquePorts?.Contains(port.Port) == true || Array.Exists(slices, s => s.Ports.Any(p => p.Name == port.Name && s.OpaquePorts!.Contains(p.Port)));
    }

    private IEnumerable<ServiceEndpoint> FromSlices(ServiceManifest service)
    {
        foreach (var slice in _slices[service.Name])
        {
            foreach (var port in slice.Ports)
            {
                if (!service.Ports.Any(p => p.Name == port.Name))
                {
                    problems.Add(new SourceProblem(slice.Where, $"{slice.Key}: its port '{port.Name}' is no port of {service.Key} ({PortNames(service)}), so nobody reaches it. Give both the same name."));
                }
            }

            foreach (var endpoint in slice.Endpoints)
            {
                var (account, pod) = WhoOf(endpoint, slice, service);
                if (inMotion && endpoint.Pod is not null && account is null)
                {
                    continue;
                }

                var place = places.Of(endpoint.NodeName.Length > 0 ? endpoint.NodeName : pod?.NodeName ?? string.Empty);
                // The endpoint's own zone goes first: it may be outside the cluster.
                place = endpoint.Zone.Length == 0 ? place : place with { Zone = endpoint.Zone };
                var addresses = slice.Fqdn ? endpoint.Addresses.SelectMany(a => addressesOf(a)) : endpoint.Addresses;
                foreach (var address in addresses)
                {
                    foreach (var port in slice.Ports)
                    {
                        yield return Endpoint(service, port.Name, address, port.Port, account, endpoint.Ready, place, pod?.Mark) with { Draining = endpoint.Draining, Hostname = endpoint.Hostname };
                    }
                }
            }
        }
    }

    private (string? Account, PodManifest? Pod) WhoOf(SliceEndpointManifest endpoint, EndpointSliceManifest slice, ServiceManifest service)
    {
        if (endpoint.Pod is { } pod)
        {
            if (objects.GetValueOrDefault(new ManifestKey("Pod", slice.Key.Namespace, pod)) is PodManifest found)
            {
                return (found.ServiceAccount, found);
            }

            if ((slice.ServiceAccount ?? service.ServiceAccount) is null && !inMotion)
            {
                problems.Add(new SourceProblem(endpoint.Where, $"{slice.Key}: targetRef names Pod '{pod}', which does not exist, so the endpoint has no identity and is not meshed. Add the Pod or annotation {Annotations.ServiceAccount}."));
            }
        }

        return (slice.ServiceAccount ?? service.ServiceAccount, null);
    }

    private IEnumerable<ServiceEndpoint> FromPods(ServiceManifest service)
    {
        if (service.Selector.IsEmpty)
        {
            yield break;
        }

        foreach (var pod in _pods[service.Key.Namespace])
        {
            if (pod.Addresses.IsEmpty || !service.Selector.All(s => pod.Labels.TryGetValue(s.Key, out var value) && value == s.Value))
            {
                continue;
            }

            foreach (var port in service.Ports)
            {
                if (TargetOf(port, pod) is { } target)
                {
                    var ready = (pod.Ready && !pod.Terminating) || service.PublishNotReadyAddresses;
                    foreach (var address in pod.Addresses)
                    {
                        yield return Endpoint(service, port.Name, address, target, pod.ServiceAccount, ready, places.Of(pod.NodeName), pod.Mark) with
                        {
                            Draining = !ready && pod is { Ready: true, Terminating: true },
                            Hostname = pod.Subdomain == service.Key.Name ? pod.Hostname : string.Empty,
                        };
                    }
                }
                else
                {
                    problems.Add(new SourceProblem(pod.Where, $"{pod.Key} has no container port named '{port.TargetPort}', which {service.Key} asks for. Name a container port so, or give targetPort as a number."));
                }
            }
        }
    }

    private static int? TargetOf(ServicePortManifest port, PodManifest pod) =>
        port.TargetPort is null ? port.Port
        : int.TryParse(port.TargetPort, CultureInfo.InvariantCulture, out var number) ? number
        : pod.Ports.FirstOrDefault(p => p.Name == port.TargetPort)?.Port;

    private ServiceEndpoint Endpoint(ServiceManifest service, string portName, string address, int port, string? account, bool ready, Place place, PodMark? mark)
    {
        var endpoint = new ServiceEndpoint(portName, address, port, account, ready, place.Zone, Meshed: false) { Region = place.Region, NodeName = place.Node };
        if (account is null)
        {
            return endpoint;
        }

        if (mark?.Holds(port) == true)
        {
            return endpoint with { Meshed = true, SpeaksTcp = mark.Transparent };
        }

        if (!_identities.TryGetValue((service.Key.Namespace, account), out var id))
        {
            _identities[(service.Key.Namespace, account)] = id = SpiffeId.ForServiceAccount(trustDomain, service.Key.Namespace, account);
        }

        return marks.IsMeshed(endpoint.HostPort, id) ? endpoint with { Meshed = true, SpeaksTcp = marks.IsTransparent(endpoint.HostPort, id) } : endpoint;
    }

    private static string PortNames(ServiceManifest service) => string.Join(", ", service.Ports.Select(p => $"'{p.Name}'"));
}
