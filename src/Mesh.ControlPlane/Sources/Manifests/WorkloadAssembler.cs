using System.Collections.Immutable;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>Finds what listens where, with the labels that selectors ask for: Pods, and endpoints that no Pod stands for with the labels of their Service.</summary>
internal sealed class WorkloadAssembler(Dictionary<ManifestKey, Manifest> objects, NodePlaces places, Func<string, ImmutableArray<string>> addressesOf)
{
    public ImmutableArray<Workload> Assemble() =>
        [.. Pods().Concat(Endpoints()).Order(Comparer<Workload>.Create(Workload.Order))];

    private IEnumerable<Workload> Pods() => objects.Values.OfType<PodManifest>().SelectMany(p => p.Addresses.Select(a => Of(p, a, null)));

    private IEnumerable<Workload> Endpoints()
    {
        foreach (var slice in objects.Values.OfType<EndpointSliceManifest>())
        {
            var service = objects.GetValueOrDefault(new ManifestKey("Service", slice.Key.Namespace, slice.Service)) as ServiceManifest;
            foreach (var endpoint in slice.Endpoints)
            {
                var pod = endpoint.Pod is null ? null : objects.GetValueOrDefault(new ManifestKey("Pod", slice.Key.Namespace, endpoint.Pod)) as PodManifest;
                foreach (var address in slice.Fqdn ? endpoint.Addresses.SelectMany(a => addressesOf(a)) : endpoint.Addresses)
                {
                    foreach (var port in slice.Ports)
                    {
                        yield return pod is not null ? Of(pod, address, port.Port)
                            : new Workload(slice.Key.Namespace, slice.Service, address, port.Port, slice.ServiceAccount ?? service?.ServiceAccount,
                                service?.Labels ?? ImmutableSortedDictionary<string, string>.Empty) { TapDisabled = service is { TapDisabled: true } };
                    }
                }
            }
        }
    }

    private Workload Of(PodManifest pod, string address, int? port) => new(pod.Key.Namespace, pod.Key.Name, address, port, pod.ServiceAccount, pod.Labels)
    {
        DeclaredPorts = [.. pod.Ports.Select(p => p.Port)],
        Probes = pod.Probes,
        IsPod = true,
        Mark = pod.MarkText,
        TapDisabled = pod.TapDisabled,
        Place = places.Of(pod.NodeName),
    };
}
