using Mesh.ControlPlane.Tests.Hosting;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Mesh.ControlPlane.Tests.Api;

/// <summary>Every route of the API, as it is mapped.</summary>
internal static class ApiRoutes
{
    public static IReadOnlyList<(string Method, string Path)> Of(TestControlPlane controlPlane) =>
    [
        .. controlPlane.Services.GetServices<EndpointDataSource>().SelectMany(s => s.Endpoints).OfType<RouteEndpoint>()
            .Where(e => e.RoutePattern.RawText?.StartsWith("/api/", StringComparison.Ordinal) == true)
            .SelectMany(e => e.Metadata.GetMetadata<IHttpMethodMetadata>()!.HttpMethods.Select(m => (m, e.RoutePattern.RawText!))).Distinct().Order(),
    ];
}
