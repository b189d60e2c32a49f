using System.Runtime.InteropServices;
using System.Text.Json;
using Mesh.Hosting;
using Microsoft.Extensions.Logging.Console;

namespace Mesh.ControlPlane.Hosting;

/// <summary>The program: standard output holds the ready line and nothing else, all logs go to standard error.</summary>
internal static class ControlPlaneProgram
{
    private const int Good = 0;
    private const int Failure = 1;
    private const int BadUsage = 64;

    public static async Task<int> RunAsync(string[] args, ControlPlaneParts parts)
    {
        if (args.Contains("--help"))
        {
            Console.WriteLine(CommandLine.Usage);
            return Good;
        }

        if (CommandLine.Parse(args, out var problems) is not { } options)
        {
            await Console.Error.WriteLineAsync(string.Join(Environment.NewLine, problems));
            return BadUsage;
        }

        using var loggers = LoggerFactory.Create(logging =>
        {
            logging.AddFilter("Microsoft", LogLevel.Warning).AddFilter("Grpc", LogLevel.Warning);
            // Logs a failed start with its stack; the one message below says it to the operator.
            logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.None);
            logging.AddSimpleConsole(o => (o.SingleLine, o.TimestampFormat, o.UseUtcTimestamp, o.ColorBehavior) = (true, "HH:mm:ss.fff ", true, LoggerColorBehavior.Disabled));
            logging.Services.Configure<ConsoleLoggerOptions>(o => o.LogToStandardErrorThreshold = LogLevel.Trace);
        });
        var stop = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var starting = new CancellationTokenSource();
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        await using var host = new MeshControlPlaneHost(options, parts, TimeProvider.System, loggers);
        SelfTracing? tracing = null;
        try
        {
            var ready = await host.StartAsync(starting.Token);
            tracing = SelfTracing.Start(options, host.Services!);
            Console.WriteLine(JsonSerializer.Serialize(new
            {
                ready = true,
                ads = ready.Ads.Length > 0 ? ready.Ads : null,
                grpc = ready.Grpc,
                http = ready.Http,
                trust_bundle = ready.TrustBundle,
                token = ready.Token,
                view_token = ready.ViewToken,
                dashboard = ready.Dashboard,
            }));
            await Console.Error.WriteLineAsync($"Dashboard: {ready.Dashboard}");
        }
        catch (OperationCanceledException) when (starting.IsCancellationRequested)
        {
            // Told to stop while it waited for the API server.
            return Good;
        }
        catch (MeshConfigurationException e)
        {
            await Console.Error.WriteLineAsync(string.Join(Environment.NewLine, e.Problems));
            return Failure;
        }
        catch (IOException e)
        {
            await Console.Error.WriteLineAsync(e.Message);
            return Failure;
        }

        await stop.Task;
        tracing?.Dispose();
        await host.StopAsync();
        return Good;

        void Stop(PosixSignalContext signal)
        {
            signal.Cancel = true;
            stop.TrySetResult();
            starting.Cancel();
        }
    }
}
