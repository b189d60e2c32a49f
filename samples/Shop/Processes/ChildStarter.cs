using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Shop.Processes;

/// <summary>Starts every child from one thread that lives as long as the shop (see <see cref="ChildLauncher"/>).</summary>
internal sealed class ChildStarter
{
    // What a user's shell says about .NET, the mesh or a build is not meant for the shop's services.
    private static readonly string[] _foreignSettings = ["ASPNETCORE_", "DOTNET_URLS", "Mesh__", "MESH_", "OTEL_", "Kestrel__", "GRPC_", "MSBuild", "MSBUILD"];

    private readonly BlockingCollection<Action> _requests = [];

    public ChildStarter() =>
        new Thread(() =>
        {
            foreach (var request in _requests.GetConsumingEnumerable())
            {
                request();
            }
        })
        { IsBackground = true, Name = "children" }.Start();

    /// <summary>The <c>dotnet</c> that runs this program.</summary>
    public static string DotNet { get; } = Path.GetFullPath(
        Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet"));

    /// <summary>Starts <c>dotnet ARGUMENTS</c>.</summary>
    /// <param name="boundToParent">Dies with this process even on SIGKILL (Linux).</param>
    public Task<Process> StartAsync(IEnumerable<string> arguments, string folder, IReadOnlyDictionary<string, string> environment, bool boundToParent = true)
    {
        var start = new ProcessStartInfo(DotNet)
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        if (boundToParent && OperatingSystem.IsLinux())
        {
            start.ArgumentList.Add(typeof(ChildStarter).Assembly.Location);
            start.ArgumentList.Add(ChildLauncher.Argument);
            start.ArgumentList.Add(Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
            start.ArgumentList.Add(DotNet);
        }

        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        foreach (var name in start.Environment.Keys.Where(name => _foreignSettings.Any(name.StartsWith)).ToList())
        {
            start.Environment.Remove(name);
        }

        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        var started = new TaskCompletionSource<Process>(TaskCreationOptions.RunContinuationsAsynchronously);
        _requests.Add(() =>
        {
            try
            {
                started.SetResult(Process.Start(start) ?? throw new ShopException($"{start.FileName} did not start."));
            }
            catch (Exception error)
            {
                started.SetException(new ShopException($"{start.FileName} could not be started: {error.Message}", error));
            }
        });
        return started.Task;
    }
}
