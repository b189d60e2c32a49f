using System.CommandLine;
using System.Globalization;
using Mesh.Cli.Cluster;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh dashboard</c>: the control plane's page in a browser, signed in.</summary>
internal static class DashboardCommand
{
    private const int StandardPort = 50750;

    public static Command Create(CliContext context)
    {
        var url = new Option<bool>("--url") { Description = "Only print where it is; open no browser" };
        var port = new Option<int>("--port") { Description = $"Of a cluster: the port on this machine that leads there (default {StandardPort}; 0 is any free one)", DefaultValueFactory = _ => StandardPort };
        port.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && (!int.TryParse(token.Value, NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number > 65535))
            {
                result.AddError($"--port does not take '{token.Value}': give 0–65535.");
            }
        });
        var server = new ServerOptions(context);
        var command = new Command("dashboard", "Opens the dashboard in a browser: what is broken, where, and why. Of a cluster it leads there from this machine until it is stopped.") { url, port };
        server.AddTo(command);
        const string OnPage = "the page has it; open it, and copy the address from there.";
        RefusedOption.AddTo(
            command, (["--from"], OnPage), (["--to"], OnPage), (["--namespace", "-n"], OnPage), (["--all-namespaces", "-A"], OnPage), (["--selector", "-l"], OnPage), (["--window", "-t"], OnPage),
            (["--watch", "-w"], OnPage), (["--output", "-o"], "it writes one address, as text."));
        command.SetAction(async (result, cancellationToken) =>
        {
            using var api = server.Open(result);
            await NeedPageAsync(api, cancellationToken);
            if (server.HasServer(result))
            {
                await ShowAsync(context, api.Address, server.Token(result), result.GetValue(url));
                return ExitCodes.Ok;
            }

            await using var forwarder = await DashboardForwarder.StartAsync(result.GetValue(port), new ServiceProxy(server.Cluster.Open(result), server.Token(result)), cancellationToken);
            await ShowAsync(context, forwarder.Address, forwarder.Token, result.GetValue(url));
            await context.Error.WriteLineAsync("It leads to the cluster's control plane until this command is stopped (Ctrl-C).");
            await Task.Delay(Timeout.InfiniteTimeSpan, context.Time, cancellationToken);
            return ExitCodes.Ok;
        });
        return command;
    }

    private static async Task NeedPageAsync(ControlPlaneApi api, CancellationToken cancellationToken)
    {
        try
        {
            await api.GetTextAsync(string.Empty, cancellationToken);
        }
        catch (CliException e) when (e.ExitCode == ExitCodes.Failure)
        {
            throw new CliException(ExitCodes.Failure, "the control plane has no dashboard", $"it was built without the page ({e.Why})", "build it where Node.js is (docs/dashboard.md), or use 'mesh stat'", e);
        }
    }

    private static async Task ShowAsync(CliContext context, Uri address, string? token, bool onlyUrl)
    {
        // After '#': it goes to no server and into no log.
        var page = new Uri(address, token is null ? "/" : $"/#token={token}");
        await context.Out.WriteLineAsync(page.ToString());
        if (!onlyUrl && !context.OpenBrowser(page))
        {
            await context.Error.WriteLineAsync("There is no desktop to open it on: follow the link.");
        }
    }
}
