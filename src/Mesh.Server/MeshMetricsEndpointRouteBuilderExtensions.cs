using Mesh.Export;
using Mesh.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

#pragma warning disable IDE0130 // Users find it where they already look: the namespace of app.MapGet.
namespace Microsoft.AspNetCore.Builder;
#pragma warning restore IDE0130

/// <summary>Shows a workload's measurements to who scrapes it.</summary>
public static class MeshMetricsEndpointRouteBuilderExtensions
{
    /// <summary>Answers <c>GET</c> and <c>HEAD</c> with what this workload has counted, in Prometheus' text format or as OpenMetrics 1.0.0.</summary>
    /// <remarks>The same that its sidecar would show. It is as open as the app's other endpoints: add <c>RequireAuthorization()</c> or a policy of the mesh where it should not be.</remarks>
    /// <param name="endpoints">The app's routes.</param>
    /// <param name="pattern">The path. Default: <c>/metrics</c>.</param>
    /// <exception cref="InvalidOperationException">The host is not in the mesh: <c>UseMesh()</c> was not called.</exception>
    public static IEndpointConventionBuilder MapMeshMetrics(this IEndpointRouteBuilder endpoints, string pattern = "/metrics")
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        ArgumentNullException.ThrowIfNull(pattern);
        var metrics = endpoints.ServiceProvider.GetService<MetricsText>()
            ?? throw new InvalidOperationException("MapMeshMetrics() shows what the mesh counts, and this host is not in the mesh. Call UseMesh() on the web host builder.");
        return endpoints.MapMethods(pattern, [HttpMethods.Get, HttpMethods.Head], context => MetricsResponse.WriteAsync(context, format => metrics.Parts(format)));
    }
}
