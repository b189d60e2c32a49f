using Mesh.ControlPlane;
using Mesh.ControlPlane.Hosting;
using Mesh.Hosting;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

#pragma warning disable IDE0130 // Users import this namespace already.
namespace Microsoft.Extensions.DependencyInjection;
#pragma warning restore IDE0130

/// <summary>Adds a control plane to a process.</summary>
public static class MeshControlPlaneServiceCollectionExtensions
{
    /// <summary>Runs a control plane inside this process, on its own ports, started before everything else. <see cref="MeshControlPlane"/> tells where it is. Calling it twice changes nothing.</summary>
    /// <remarks>With <c>AddMesh()</c> or <c>UseMesh()</c> in the same process, called before or after, the process joins this mesh in memory: of the section <c>Mesh</c> only who it is (<c>Namespace</c>, <c>ServiceAccount</c>, <c>Workload</c>) is needed.</remarks>
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
        services.AddSingleton(_ =>
        {
            var options = new MeshControlPlaneOptions();
            configure(options);
            return options;
        });

        // The mesh of this process asks for these when it is put together: who is called first, AddMesh() or this, does not matter.
        services.AddSingleton<IEmbeddedControlPlane, InProcessControlPlane>();
        services.AddSingleton<IPostConfigureOptions<MeshOptions>, InProcessMeshOptions>();
        services.Insert(0, ServiceDescriptor.Singleton<IHostedService>(provider => new EmbeddedControlPlane(
            provider.GetRequiredService<MeshControlPlaneOptions>(), provider.GetRequiredService<ControlPlaneParts>(), provider.GetRequiredService<MeshControlPlane>(),
            provider.GetRequiredService<ILoggerFactory>(), provider.GetRequiredService<TimeProvider>())));
        return services;
    }
}
