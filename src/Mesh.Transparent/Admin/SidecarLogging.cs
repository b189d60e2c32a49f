using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Mesh.Transparent.Admin;

/// <summary>Registers the proxy's logging: one line per entry on stdout, filters that the admin port changes.</summary>
internal static class SidecarLogging
{
    /// <param name="output">Null is stdout.</param>
    public static IServiceCollection AddSidecarLogging(this IServiceCollection services, SidecarOptions options, Stream? output = null)
    {
        services.AddLogging();
        services.AddSingleton(new LogLevels(options.LogLevel));
        // After AddLogging's own, so that these count.
        services.AddSingleton<IConfigureOptions<LoggerFilterOptions>>(sp => sp.GetRequiredService<LogLevels>());
        services.AddSingleton<IOptionsChangeTokenSource<LoggerFilterOptions>>(sp => sp.GetRequiredService<LogLevels>());
        services.AddSingleton<ILoggerProvider>(sp => new LineLoggerProvider(
            options.LogFormat, output ?? Console.OpenStandardOutput(), sp.GetService<TimeProvider>() ?? TimeProvider.System));
        return services;
    }
}
