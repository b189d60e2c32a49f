using System.CommandLine;
using Mesh.Cli.Output;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh edges</c>: who calls whom, and is it encrypted.</summary>
internal static class EdgesCommand
{
    public static Command Create(CliContext context)
    {
        var (output, @namespace, server) = (CommonOptions.Output(), CommonOptions.Namespace(), new ServerOptions(context));
        var window = CommonOptions.Time("--window", TimeSpan.FromSeconds(30), "How far back to look (default 30s)");
        var command = new Command("edges", "Who calls whom, and whether mutual TLS secures it.") { output, @namespace, window };
        server.AddTo(command);
        command.SetAction(async (result, cancellationToken) =>
        {
            using var api = server.Open(result);
            var within = result.GetValue(window);
            var pairs = await Pair.LoadAsync(api, within, pair => pair.Touches(result.GetValue(@namespace)), cancellationToken);
            if (result.GetValue(output) == "json")
            {
                await context.Out.WriteLineAsync(Pair.ToJson(pairs));
                return ExitCodes.Ok;
            }

            if (pairs.Count == 0)
            {
                await context.Error.WriteLineAsync($"No calls in the last {within.TotalSeconds:0} s. Look further back with --window, or at what is meshed with 'mesh check'.");
                return ExitCodes.Ok;
            }

            var table = new Table(("SRC", false), ("DST", false), ("SRC_NS", false), ("DST_NS", false), ("SECURED", false));
            foreach (var (pair, _) in pairs)
            {
                table.Add(pair.Source, pair.Destination, Dash(pair.SourceNamespace), Dash(pair.DestinationNamespace), Secured(context, pair.MtlsShare));
            }

            await table.WriteToAsync(context.Out);
            return ExitCodes.Ok;
        });
        return command;
    }

    private static string Dash(string text) => text.Length == 0 ? "-" : text;

    private static string Secured(CliContext context, double? share) => share switch
    {
        null => "-",
        >= 1 => context.HasUnicode ? "√" : "yes",
        0 => context.HasUnicode ? "×" : "no",
        _ => Table.Percent(share),
    };
}
