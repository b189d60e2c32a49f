using System.Diagnostics.Metrics;
using Mesh.Config;
using Mesh.Spiffe;
using Mesh.Xds;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Mesh.Hosting;

/// <summary>The one place that knows which configuration source a process uses.</summary>
internal static class ConfigSourceFactory
{
    /// <summary>Makes the source; it does nothing before <see cref="Start"/>.</summary>
    public static IConfigSource Create(IServiceProvider services)
    {
        var node = services.GetRequiredService<LocalNode>();
        var options = services.GetRequiredService<IOptions<MeshOptions>>().Value;
        return new XdsConfigSource(
            services.GetRequiredService<IAdsConnector>(),
            new XdsNode(node.Id, node.Namespace, node.ServiceAccount, node.Workload, node.InstanceIps)
            {
                Locality = node.Locality,
                IsTransparent = node.IsTransparent,
                SkipInboundPorts = node.SkipInboundPorts,
            },
            options.AdsVariant,
            services.GetRequiredService<TimeProvider>(),
            new Random(),
            services.GetRequiredService<ILoggerFactory>(),
            TrustDomain.Parse(options.TrustDomain),
            services.GetService<IMeterFactory>() is { } meters
                ? new XdsMetrics(meters, options.ControlPlane ?? string.Empty, services.GetRequiredService<TimeProvider>())
                : null);
    }

    /// <summary>Starts what <see cref="Create"/> made; never waits.</summary>
    public static void Start(IConfigSource source)
    {
        if (source is XdsConfigSource xds)
        {
            xds.Start();
        }
    }
}
