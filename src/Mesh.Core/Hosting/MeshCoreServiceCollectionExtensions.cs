using Mesh.Telemetry;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace Mesh.Hosting;

/// <summary>Registers what every edge needs. A stand-in until Hosting's own lands.</summary>
internal static class MeshCoreServiceCollectionExtensions
{
    public static IServiceCollection AddMeshCore(this IServiceCollection services)
    {
        services.AddOptions<MeshOptions>().Configure<IServiceProvider>(static (options, provider) =>
            options.ControlPlane ??= provider.GetService<IConfiguration>()?[$"{MeshOptions.SectionName}:{nameof(MeshOptions.ControlPlane)}"]);
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<MetricAggregate>();
        services.TryAddSingleton(provider => new MeshActivation(provider.GetRequiredService<IOptions<MeshOptions>>().Value.ControlPlane is not null));
        return services;
    }
}
