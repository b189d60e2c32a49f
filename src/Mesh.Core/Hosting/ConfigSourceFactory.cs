using Mesh.Config;

namespace Mesh.Hosting;

/// <summary>The one place that knows which configuration source a process uses.</summary>
internal static class ConfigSourceFactory
{
    /// <summary>Makes the source; it does nothing before <see cref="Start"/>.</summary>
    public static IConfigSource Create(IServiceProvider services)
    {
        // Seam for the merge of Xds: new XdsConfigSource(
        //     services.GetRequiredService<ControlPlaneChannel>(), XdsNode from services.GetRequiredService<LocalNode>(),
        //     options.AdsVariant, services.GetRequiredService<TimeProvider>(), random, services.GetRequiredService<ILoggerFactory>())
        _ = services;
        return new InMemoryConfigSource();
    }

    /// <summary>Starts what <see cref="Create"/> made; never waits.</summary>
    public static void Start(IConfigSource source)
    {
        // Seam for the merge of Xds: if (source is XdsConfigSource xds) { xds.Start(); }
        _ = source;
    }
}
