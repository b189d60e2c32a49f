using System.Diagnostics;
using Shop.Processes;

namespace Shop;

/// <summary>Builds the control plane and the services, and takes the time of it.</summary>
internal static class Building
{
    private static readonly TimeSpan _limit = TimeSpan.FromMinutes(10);

    // A build server that outlives the build would hold its output pipe open, and with it the shop.
    private static readonly Dictionary<string, string> _environment = new()
    {
        ["MSBUILDDISABLENODEREUSE"] = "1",
        ["UseSharedCompilation"] = "false",
        ["DOTNET_CLI_USE_MSBUILD_SERVER"] = "0",
        ["DOTNET_CLI_TELEMETRY_OPTOUT"] = "1",
        ["DOTNET_NOLOGO"] = "1",
    };

    /// <returns>Seconds of <c>dotnet restore</c> and of <c>dotnet build</c>.</returns>
    public static async Task<(double RestoreSeconds, double BuildSeconds)> RunAsync(ChildStarter starter, ShopFolders folders, CancellationToken cancellationToken)
    {
        var services = Path.Combine(folders.Shop, "Shop.slnf");
        var restore = await TimeAsync("restored", ["restore", services, "-v", "q"]);
        // Who looks for the first time does not wait for analyzers of code that nobody has changed yet; whoever works on it has built before.
        string[] analysis = Directory.Exists(Path.Combine(folders.Repo, "src", "Mesh.Core", "bin")) ? [] : ["-p:RunAnalyzers=false"];
        var build = await TimeAsync("built", ["build", services, "--no-restore", "-c", folders.Configuration, "-v", "q", "-nologo", .. analysis]);
        return (restore, build);

        async Task<double> TimeAsync(string what, string[] arguments)
        {
            var started = Stopwatch.GetTimestamp();
            using var process = await starter.StartAsync(arguments, folders.Shop, _environment);
            process.StandardInput.Close();
            var output = process.StandardOutput.ReadToEndAsync(cancellationToken);
            var errors = process.StandardError.ReadToEndAsync(cancellationToken);
            using var limited = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            limited.CancelAfter(_limit);
            try
            {
                await process.WaitForExitAsync(limited.Token);
            }
            catch (OperationCanceledException)
            {
                process.Kill(entireProcessTree: true);
                cancellationToken.ThrowIfCancellationRequested();
                throw new ShopException($"the services were not {what} within {_limit.TotalMinutes:0} minutes (dotnet {string.Join(' ', arguments)}).");
            }

            return process.ExitCode == 0
                ? Stopwatch.GetElapsedTime(started).TotalSeconds
                : throw new ShopException($"the services could not be {what}: dotnet {string.Join(' ', arguments)}{Environment.NewLine}{await output}{await errors}");
        }
    }
}
