using Mesh.ControlPlane.Sources;

namespace Mesh.ControlPlane.Insight;

internal static class InsightServiceCollectionExtensions
{
    /// <summary>What answers "what is broken, where, and why".</summary>
    /// <param name="temporary">Keeps temporary faults; null: over the folder of manifests.</param>
    public static IServiceCollection AddInsight(this IServiceCollection services, ManifestOverlay overlay, ITemporaryFaults? temporary)
    {
        services.AddSingleton<ChangeLog>();
        services.AddHostedService(p => p.GetRequiredService<ChangeLog>());
        services.AddSingleton<ChangeWatch>();
        services.AddHostedService(p => p.GetRequiredService<ChangeWatch>());
        services.AddSingleton(overlay);
        if (temporary is null)
        {
            services.AddSingleton<ITemporaryFaults, FolderFaults>();
        }
        else
        {
            services.AddSingleton(temporary);
        }

        services.AddSingleton<FaultList>();
        services.AddSingleton<InsightReader>();
        services.AddSingleton<TopologyReader>();
        services.AddSingleton<ServicePageReader>();
        services.AddSingleton<SecurityReader>();
        return services;
    }
}
