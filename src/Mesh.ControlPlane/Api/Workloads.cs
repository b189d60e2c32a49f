using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Api;

/// <summary>An endpoint behind a Service and whether it is meshed; if not, why.</summary>
internal sealed record Workload(string Service, string Namespace, string Address, string? Identity, bool Meshed, bool Ready, string? Reason);

/// <summary>Lists the model's endpoints.</summary>
internal static class Workloads
{
    public static IReadOnlyList<Workload> List(MeshModel model, string trustDomain) =>
    [
        .. from service in model.Services.Values
           orderby service.Name.Namespace, service.Name.Name
           from endpoint in service.Endpoints
           let identity = endpoint.ServiceAccount is { } account ? $"spiffe://{trustDomain}/ns/{service.Name.Namespace}/sa/{account}" : null
           select new Workload(
               service.Name.Name, service.Name.Namespace, endpoint.HostPort, identity, endpoint.Meshed, endpoint.Ready,
               endpoint.Meshed ? null
                   : identity is null ? "Nothing says who runs there: set the annotation meshlib.io/service-account on the EndpointSlice or the Service."
                   : $"No workload with the identity {identity} has served {endpoint.HostPort} yet: start it with UseMesh() and a join token, or the sidecar."),
    ];
}
