using System.Diagnostics.Metrics;
using Mesh.Export;
using Mesh.Telemetry;
using Mesh.Xds;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Mesh.Hosting;

/// <summary>Registers what records spans and sends them.</summary>
internal static class TracingServiceCollectionExtensions
{
    private const double DefaultRatio = 0.01;

#pragma warning disable RS0030 // where the program is put together, chance enters; this one is thread-safe
    private static Random Chance => Random.Shared;
#pragma warning restore RS0030

    public static IServiceCollection AddMeshTracing(this IServiceCollection services)
    {
        services.TryAddSingleton(sp => new SpanRecorder(SettingsOf(sp), sp.GetRequiredService<TimeProvider>(), Chance, sp.GetService<IMeterFactory>()));
        services.TryAddSingleton(sp =>
        {
            var node = sp.GetRequiredService<LocalNode>();
            return new OtlpSpanExporter(
                sp.GetRequiredService<SpanRecorder>(),
                OtlpRequest.Resource(node.Workload, node.Namespace, node.Id),
                sp.GetRequiredService<IAdsConnector>().ConnectAsync,
                sp.GetRequiredService<TimeProvider>(),
                new Random(),
                sp.GetRequiredService<ILogger<OtlpSpanExporter>>());
        });
        return services;
    }

    /// <summary>Null where nothing would take spans.</summary>
    private static TraceSettings? SettingsOf(IServiceProvider services)
    {
        var options = services.GetRequiredService<IOptions<MeshOptions>>().Value;
        var takes = services.GetService<IEmbeddedControlPlane>() is not null || !string.IsNullOrWhiteSpace(options.ControlPlane);
        if (!services.GetRequiredService<MeshActivation>().IsOn || !takes || !options.Traces.Enabled)
        {
            return null;
        }

        // A proxy's rule is Linkerd's: what belongs to a trace that somebody asked for, and nothing else.
        var proxy = services.GetRequiredService<LocalNode>().IsTransparent;
        return new TraceSettings(options.Traces.Ratio ?? (proxy ? 0 : DefaultRatio), options.Traces.Failed ?? !proxy, options.Traces.SlowerThan, proxy);
    }
}
