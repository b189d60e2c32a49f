using System.CommandLine;
using Mesh.Cli.Checks;
using Mesh.Cli.Output;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh check</c>: what is wrong, with its fix. Exit 2 when an error was found.</summary>
internal static class CheckCommand
{
    private const string Path = "api/v1/checks";
    private static readonly TimeSpan _again = TimeSpan.FromSeconds(2);

    public static Command Create(CliContext context)
    {
        var server = new ServerOptions(context);
        var output = new Option<string>("--output", "-o") { Description = "table, json, or short: only what is wrong", DefaultValueFactory = _ => "table" }.AcceptOnlyFromAmong("table", "json", "short");
        var strict = new Option<bool>("--strict") { Description = "Warnings fail too (exit 3)" };
        var pre = new Option<bool>("--pre") { Description = "Whether the mesh can be installed in the cluster" };
        var proxy = new Option<bool>("--proxy") { Description = "The workloads: of one namespace with -n, else of all" };
        var ns = new Option<string?>("--namespace", "-n") { Description = "With --proxy: only this namespace" };
        var wait = CommonOptions.Time("--wait", TimeSpan.Zero, "Ask again until nothing is wrong, at most so long, such as 5m");
        var command = new Command("check", "Looks for what is wrong in the mesh, and says how to fix it.") { output, strict, pre, proxy, ns, wait };
        server.AddTo(command);
        command.Validators.Add(result =>
        {
            if (result.GetValue(pre) && result.GetValue(proxy))
            {
                result.AddError("--pre looks at a cluster without a mesh, --proxy at the workloads of one. Keep one.");
            }

            if (result.GetValue(ns) is not null && !result.GetValue(proxy))
            {
                result.AddError("--namespace goes with --proxy.");
            }
        });
        command.SetAction(async (result, cancellationToken) =>
        {
            var until = context.Time.GetUtcNow() + result.GetValue(wait);
            var scope = result.GetValue(pre) ? CheckScope.Pre : result.GetValue(proxy) ? CheckScope.Proxy : CheckScope.Mesh;
            List<Check> checks;
            while ((checks = await AskAsync(context, server, result, scope, result.GetValue(ns), cancellationToken)).Any(check => check.Result == "error") && context.Time.GetUtcNow() < until)
            {
                await context.Error.WriteLineAsync($"Waiting: {string.Join("; ", checks.Where(c => c.Result == "error").Take(3).Select(c => c.Detail))}");
                await Task.Delay(_again, context.Time, cancellationToken);
            }

            await new CheckReport(context).WriteAsync(checks, result.GetValue(output)!);
            return checks.Any(check => check.Result == "error") ? ExitCodes.CheckFailed
                : result.GetValue(strict) && checks.Any(check => check.Result == "warning") ? 3
                : ExitCodes.Ok;
        });
        return command;
    }

    private static async Task<List<Check>> AskAsync(CliContext context, ServerOptions server, ParseResult result, CheckScope scope, string? ns, CancellationToken cancellationToken)
    {
        // A control plane that is named by its address need not be in a cluster.
        var checks = new List<Check>();
        if (scope != CheckScope.Mesh || (!server.HasServer(result) && server.Cluster.IsNamed(result)) || server.Cluster.IsGiven(result))
        {
            using var cluster = server.Cluster.Open(result);
            var all = ApiChecks.All.Concat(scope switch
            {
                CheckScope.Pre => PreChecks.All,
                CheckScope.Proxy => InstallChecks.All.Take(1).Concat(ProxyChecks.Of(ns)),
                _ => InstallChecks.All,
            });
            checks.AddRange(await CheckRun.AskAsync(all, new ClusterFacts(cluster, context.Time), cancellationToken));
            // Nobody is there to be asked.
            if (scope != CheckScope.Mesh || checks.Any(c => c is { Id: "MESH-CHK-001" or "MESH-CHK-020", Result: "error" }))
            {
                return checks;
            }

            return [.. checks, .. await AskControlPlaneAsync(server, result, cancellationToken)];
        }

        using var api = server.Open(result);
        return api.Read<List<Check>>(await api.GetAsync(Path, cancellationToken), Path);
    }

    /// <summary>In a cluster what it can't be asked is one more finding.</summary>
    private static async Task<List<Check>> AskControlPlaneAsync(ServerOptions server, ParseResult result, CancellationToken cancellationToken)
    {
        const string Description = "the control plane can be asked";
        try
        {
            using var api = server.Open(result);
            return api.Read<List<Check>>(await api.GetAsync(Path, cancellationToken), Path);
        }
        catch (CliException e)
        {
            return [new Check("MESH-CHK-041", "control plane", Description, e.ExitCode == ExitCodes.NotPermitted ? "warning" : "error", $"{e.Message}: {e.Why}", e.Fix)];
        }
    }

    private enum CheckScope
    {
        Mesh,
        Pre,
        Proxy,
    }
}
