using Mesh.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Mesh.Transparent;

/// <summary>The command line: with no command the proxy runs; the others prepare or question it.</summary>
internal static class SidecarProgram
{
    /// <returns>0 good, 1 failed, 64 not understood.</returns>
    public static async Task<int> RunAsync(string[] args)
    {
        switch (args)
        {
            case [] or ["run"]:
                return await ProxyAsync().ConfigureAwait(false);
            default:
                await Console.Error.WriteLineAsync("usage: mesh-proxy [run | init | validate | await]").ConfigureAwait(false);
                return 64;
        }
    }

    private static async Task<int> ProxyAsync()
    {
        try
        {
            var settings = SidecarOptionsReader.Read();
            using var host = Build(settings);
            await host.RunAsync().ConfigureAwait(false);
            return 0;
        }
        catch (MeshConfigurationException e)
        {
            await Console.Error.WriteLineAsync($"mesh-proxy: {e.Message}").ConfigureAwait(false);
            return 1;
        }
    }

    private static IHost Build(SidecarSettings settings)
    {
        var configuration = new ConfigurationManager();
        configuration.AddConfiguration(settings.Configuration);
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true, Configuration = configuration });
        // The drain has its own time; this is for what comes after it.
        builder.Services.Configure<HostOptions>(o => o.ShutdownTimeout = settings.Options.DrainTimeout + TimeSpan.FromSeconds(10));
        builder.Services.AddLogging(logging => logging.AddSimpleConsole(o => o.SingleLine = true).SetMinimumLevel(LogLevel.Information));
        builder.Services.AddSidecar(settings.Options);
        return builder.Build();
    }
}
