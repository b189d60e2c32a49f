using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Insight;

/// <summary>Which endpoints calls to a Service reach: where routes lead them elsewhere, those of their backends. Pure.</summary>
internal static class BehindService
{
    /// <returns>Itself, unless routes for its callers send all they match to others; such a Service need not have an endpoint of its own.</returns>
    public static IReadOnlyList<ServiceName> Backends(MeshModel model, ServiceName name)
    {
        var routed = model.Routes.Where(r => r.Parents.Any(p => p.Service == name)).SelectMany(r => r.Rules).SelectMany(r => r.Backends)
            .Where(b => b is { Refused: false, Weight: > 0 }).Select(b => b.Service).Distinct().ToList();
        var own = model.Services.TryGetValue(name, out var service) && !service.Endpoints.IsEmpty;
        return routed.Count == 0 ? [name] : own && !routed.Contains(name) ? [name, .. routed] : routed;
    }

    public static IEnumerable<ServiceEndpoint> Endpoints(MeshModel model, ServiceName name) =>
        Backends(model, name).SelectMany(b => model.Services.TryGetValue(b, out var service) ? service.Endpoints.AsEnumerable() : []);
}
