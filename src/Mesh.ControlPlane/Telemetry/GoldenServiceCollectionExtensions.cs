using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>Registers what counts and answers.</summary>
internal static class GoldenServiceCollectionExtensions
{
    public static IServiceCollection AddGoldenMetrics(this IServiceCollection services)
    {
        services.AddSingleton(p =>
        {
            var (options, time) = (p.GetRequiredService<MeshControlPlaneOptions>(), p.GetRequiredService<TimeProvider>());
            var file = options.EffectiveStorage == TelemetryStorage.Disk ? DiskSlots.Open(p.GetRequiredService<DataFolder>().Path, time, p.GetRequiredService<ILogger<GoldenStore>>()) : new MemorySlots();
            return new GoldenStore(time, file, options.GoldenLimits);
        });
        services.AddSingleton<BalancerTable>();
        services.AddSingleton<MetricsReader>();
        services.AddSingleton<ReportWatch>();
        services.AddSingleton<TakenReports>();
        services.AddSingleton<MetricsIntake>();
        services.AddSingleton<StoreQueries>();
        services.AddSingleton<IGoldenQueries>(p =>
        {
            var options = p.GetRequiredService<MeshControlPlaneOptions>();
            return options.Prometheus is { } address
                ? new PrometheusQueries(new PrometheusServer(new Uri(address), options.PrometheusTokenFile), p.GetRequiredService<BalancerTable>(), p.GetRequiredService<TimeProvider>())
                : p.GetRequiredService<StoreQueries>();
        });
        services.AddHostedService<GoldenFlush>();
        return services;
    }
}
