using System.Collections.Immutable;
using Mesh.ControlPlane.Insight;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Api;

/// <summary>An endpoint behind a Service and whether it is meshed; if not, why.</summary>
/// <param name="Labels">Of the Pod; of an endpoint without one, of its Service.</param>
internal sealed record Workload(string Service, string Namespace, string Address, string? Identity, bool Meshed, bool Ready, string? Reason, IReadOnlyDictionary<string, string> Labels);

/// <summary>Lists the model's endpoints.</summary>
internal static class Workloads
{
    public static IReadOnlyList<Workload> List(MeshModel model, string trustDomain)
    {
        var labels = model.Workloads.Where(w => w.Port is not null).ToLookup(w => $"{(w.Address.Contains(':', StringComparison.Ordinal) ? $"[{w.Address}]" : w.Address)}:{w.Port}", w => w.Labels, StringComparer.Ordinal);
        return
        [
            .. from service in model.Services.Values
               orderby service.Name.Namespace, service.Name.Name
               from endpoint in service.Endpoints
               let identity = endpoint.ServiceAccount is { } account ? $"spiffe://{trustDomain}/ns/{service.Name.Namespace}/sa/{account}" : null
               select new Workload(
                   service.Name.Name, service.Name.Namespace, endpoint.HostPort, identity, endpoint.Meshed, endpoint.Ready, endpoint.Meshed ? null : UnmeshedEndpoints.Why(service, endpoint, trustDomain),
                   labels[endpoint.HostPort].FirstOrDefault() ?? ImmutableSortedDictionary<string, string>.Empty),
        ];
    }
}
