using System.Net;
using Mesh.ControlPlane;
using Mesh.ControlPlane.Dashboard;
using Mesh.ControlPlane.Hosting;
using Mesh.Hosting;

#pragma warning disable IDE0130 // Users import this namespace already.
namespace Microsoft.AspNetCore.Builder;
#pragma warning restore IDE0130

/// <summary>Mounts the mesh's dashboard in an application.</summary>
public static class MeshDashboardEndpointRouteBuilderExtensions
{
    /// <summary>Serves the dashboard under <paramref name="pattern"/>, and passes what it asks on to the control plane. It only shows, unless the options say otherwise.</summary>
    /// <remarks>Whoever reaches these endpoints sees the mesh: guard them, as with <c>.RequireAuthorization()</c>. The visitor's cookies and headers are not passed on.</remarks>
    /// <param name="endpoints">The application.</param>
    /// <param name="pattern">The path. Default: <c>/mesh</c>.</param>
    /// <param name="configure">Which control plane, and what visitors may.</param>
    /// <returns>All endpoints of the dashboard, for conventions such as authorization.</returns>
    /// <exception cref="MeshConfigurationException">There is no control plane to ask, or the options can't be used.</exception>
    public static IEndpointConventionBuilder MapMeshDashboard(this IEndpointRouteBuilder endpoints, string pattern = "/mesh", Action<MeshDashboardOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        ArgumentNullException.ThrowIfNull(pattern);
        var options = new MeshDashboardOptions();
        configure?.Invoke(options);
        var services = endpoints.ServiceProvider;
        var embedded = services.GetService<MeshControlPlane>();
        if (options.Problems(embedded is not null) is { Count: > 0 } problems)
        {
            throw new MeshConfigurationException(problems);
        }

        Func<CancellationToken, Task<DashboardTarget>> target = options.Address is { } address
            ? _ => Task.FromResult(new DashboardTarget(Folder(address), options.Token!))
            : async cancellationToken => Own(await embedded!.Ready.WaitAsync(cancellationToken));
        var forwarder = new DashboardForwarder(options, target, services.GetRequiredService<ILogger<DashboardForwarder>>());
        services.GetService<IHostApplicationLifetime>()?.ApplicationStopped.Register(forwarder.Dispose);

        var group = endpoints.MapGroup(pattern);
        group.MapDashboardFiles(DashboardFiles.Embedded);
        // No parameters to bind: the body is passed on unread.
        group.Map("/api/v1/{**path}", context => forwarder.ForwardAsync(context, context.Request.RouteValues["path"] as string ?? string.Empty))
            .WithDisplayName("Mesh dashboard API").ExcludeFromDescription();
        return group;
    }

    private static Uri Folder(Uri address) => address.AbsoluteUri.EndsWith('/') ? address : new Uri(address.AbsoluteUri + '/');

    private static DashboardTarget Own(ControlPlaneAddresses addresses)
    {
        var http = new UriBuilder(addresses.Http);
        if (IPAddress.TryParse(http.Host.Trim('[', ']'), out var ip) && (ip.Equals(IPAddress.Any) || ip.Equals(IPAddress.IPv6Any)))
        {
            http.Host = ip.Equals(IPAddress.Any) ? IPAddress.Loopback.ToString() : $"[{IPAddress.IPv6Loopback}]";
        }

        return new DashboardTarget(http.Uri, addresses.Token);
    }
}
