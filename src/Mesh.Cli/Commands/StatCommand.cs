using System.CommandLine;
using Mesh.Cli.Output;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh stat</c>: golden metrics per pair.</summary>
internal static class StatCommand
{
    private static readonly TimeSpan _refresh = TimeSpan.FromSeconds(2);

    public static Command Create(CliContext context)
    {
        var service = new Argument<string?>("service") { Description = "Only calls to this service (catalog, svc/catalog)", Arity = ArgumentArity.ZeroOrOne };
        service.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string?>()?.StartsWith('-') == true)
            {
                result.AddError($"Unrecognized option '{result.GetValueOrDefault<string?>()}'.");
            }
        });
        var (output, @namespace, server) = (CommonOptions.Output(), CommonOptions.Namespace(), new ServerOptions(context));
        var window = CommonOptions.Time("--window", TimeSpan.FromSeconds(30), "How far back to look (default 30s)");
        var watch = new Option<bool>("--watch", "-w") { Description = "Again every 2 s, until Ctrl-C" };
        var command = new Command("stat", "Success, rate and latency of every caller→callee pair.") { service, output, @namespace, window, watch };
        server.AddTo(command);
        command.SetAction(async (result, cancellationToken) =>
        {
            using var api = server.Open(result);
            var (wanted, within) = (result.GetValue(service), result.GetValue(window));
            wanted = wanted?[(wanted.LastIndexOf('/') + 1)..];
            while (true)
            {
                var pairs = await Pair.LoadAsync(
                    api, within, pair => pair.Touches(result.GetValue(@namespace)) && (wanted is null || pair.Destination == wanted), cancellationToken);
                if (result.GetValue(output) == "json")
                {
                    await context.Out.WriteLineAsync(Pair.ToJson(pairs));
                }
                else if (pairs.Count == 0)
                {
                    await context.Error.WriteLineAsync($"No calls in the last {within.TotalSeconds:0} s. Look further back with --window, or at what is meshed with 'mesh check'.");
                }
                else
                {
                    await WriteTableAsync(context, [.. pairs.Select(pair => pair.Pair)]);
                }

                if (!result.GetValue(watch))
                {
                    return ExitCodes.Ok;
                }

                await Task.Delay(_refresh, context.Time, cancellationToken);
                await context.Out.WriteLineAsync();
            }
        });
        return command;
    }

    private static Task WriteTableAsync(CliContext context, IReadOnlyList<Pair> pairs)
    {
        var table = new Table(
            ("SRC", false), ("DST", false), ("SUCCESS", true), ("EFFECTIVE", true), ("RPS", true),
            ("LATENCY_P50", true), ("LATENCY_P95", true), ("LATENCY_P99", true), ("SECURED", true), ("RETRIES", true));
        foreach (var pair in pairs)
        {
            table.Add(
                pair.Source, pair.Destination, Table.Percent(pair.SuccessRate), Table.Percent(pair.EffectiveSuccessRate), Table.Number(pair.Rps, "0.0", "rps"),
                Table.Number(pair.P50Ms, "0.0", "ms"), Table.Number(pair.P95Ms, "0.0", "ms"), Table.Number(pair.P99Ms, "0.0", "ms"),
                Table.Percent(pair.MtlsShare), Table.Number(pair.Retries, "0"));
        }

        return table.WriteToAsync(context.Out);
    }
}
