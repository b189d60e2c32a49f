using Mesh.ControlPlane;
using Mesh.ControlPlane.Hosting;
using Microsoft.Extensions.DependencyInjection.Extensions;

#pragma warning disable IDE0130 // Users import this namespace already.
namespace Microsoft.Extensions.DependencyInjection;
#pragma warning restore IDE0130

/// <summary>Adds a control plane to a process.</summary>
public static class MeshControlPlaneServiceCollectionExtensions
{
    /// <summary>Runs a control plane inside this process, on its own ports, started before everything else. <see cref="MeshControlPlane"/> tells where it is. Calling it twice changes nothing.</summary>
    /// <param name="services">The process' services.</param>
    /// <param name="configure">Sets the folder, ports and identity.</param>
    public static IServiceCollection AddMeshControlPlane(this IServiceCollection services, Action<MeshControlPlaneOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configure);
        if (services.Any(s => s.ServiceType == typeof(MeshControlPlane)))
        {
            return services;
        }

        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton(ControlPlaneParts.Default);
        services.AddSingleton(new MeshControlPlane());
        services.Insert(0, ServiceDescriptor.Singleton<IHostedService>(provider =>
        {
            var options = new MeshControlPlaneOptions();
            configure(options);
            return new EmbeddedControlPlane(
                options, provider.GetRequiredService<ControlPlaneParts>(), provider.GetRequiredService<MeshControlPlane>(),
                provider.GetRequiredService<ILoggerFactory>(), provider.GetRequiredService<TimeProvider>());
        }));
        return services;
    }
}
