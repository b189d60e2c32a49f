using Mesh.Hosting;
using Mesh.Transparent.Admin;
using Mesh.Transparent.Commands;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Mesh.Transparent;

/// <summary>The command line: with no command the proxy runs; the others prepare or question it.</summary>
internal static partial class SidecarProgram
{
    private const string Usage = """
        usage: mesh-proxy [run | init | validate | await | sleep | --version]

          run        the proxy, with settings from MESH_* variables; what it does without a command
          init       redirects this network namespace's connections to the proxy; --undo takes that back
          validate   proves that connections are redirected
          await      waits until the proxy is ready, then becomes a command
          sleep      waits for a time: a preStop hook

        init, validate, await and sleep say more with --help. The proxy answers on its admin port: /ready, /metrics, /config_dump.
        """;

    /// <returns>One of <see cref="ExitCodes"/>.</returns>
    public static async Task<int> RunAsync(string[] args)
    {
        switch (args)
        {
            case [] or ["run"]:
                return await ProxyAsync().ConfigureAwait(false);
            case ["init", .. var rest]:
                return await InitCommand.RunAsync(rest, CommandContext.Real).ConfigureAwait(false);
            case ["validate", .. var rest]:
                return await ValidateCommand.RunAsync(rest, CommandContext.Real).ConfigureAwait(false);
            case ["await", .. var rest]:
                return await AwaitCommand.RunAsync(rest, CommandContext.Real).ConfigureAwait(false);
            case ["sleep", .. var rest]:
                return await SleepCommand.RunAsync(rest, CommandContext.Real).ConfigureAwait(false);
            case ["--help" or "-h" or "help"]:
                await Console.Out.WriteLineAsync(Usage).ConfigureAwait(false);
                return ExitCodes.Ok;
            case ["--version"]:
                await Console.Out.WriteLineAsync(typeof(SidecarProgram).Assembly.GetName().Version?.ToString(3)).ConfigureAwait(false);
                return ExitCodes.Ok;
            default:
                await Console.Error.WriteLineAsync($"mesh-proxy: '{string.Join(' ', args)}' is not understood.\n{Usage}").ConfigureAwait(false);
                return ExitCodes.Usage;
        }
    }

    private static async Task<int> ProxyAsync()
    {
        try
        {
            RuntimeSettings.Apply();
            var settings = SidecarOptionsReader.Read();
            using var host = Build(settings);
            var logger = host.Services.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(SidecarProgram).FullName!);
            foreach (var warning in settings.Warnings)
            {
                Log.SettingDoubtful(logger, warning);
            }

            await host.RunAsync().ConfigureAwait(false);
            return 0;
        }
        catch (Exception e) when (e is MeshConfigurationException or System.Net.Sockets.SocketException or Microsoft.AspNetCore.Connections.AddressInUseException)
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
        builder.Services.AddSidecarLogging(settings.Options);
        builder.Services.AddSidecar(settings.Options);
        return builder.Build();
    }

    private static partial class Log
    {
        [LoggerMessage(6400, LogLevel.Warning, "{Problem}", EventName = nameof(SettingDoubtful))]
        public static partial void SettingDoubtful(ILogger logger, string problem);
    }
}
