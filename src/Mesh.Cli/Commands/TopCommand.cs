using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Mesh.Cli.Output;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh top</c>: which requests are made most, and how each fares.</summary>
internal static class TopCommand
{
    private const int Rows = 30;
    private static readonly TimeSpan _once = TimeSpan.FromSeconds(10);

    public static Command Create(CliContext context)
    {
        var (asked, server) = (new TapOptions(), new ServerOptions(context));
        var output = CommonOptions.AnyOutput();
        var length = CommonOptions.Time("--for", TimeSpan.Zero, "How long to look (default: on a terminal until Ctrl-C, else 10s)", "-t");
        var command = new Command("top", "The most frequent requests, counted as they happen.") { output, length };
        asked.AddTo(command);
        server.AddTo(command);
        command.SetAction(async (result, cancellationToken) =>
        {
            using var api = server.Open(result);
            var form = result.GetValue(output)!;
            var draws = context.IsTerminal && form is "table" or "wide";
            TimeSpan? limit = result.GetValue(length) is { } time && time > TimeSpan.Zero ? time : draws ? null : _once;
            var path = asked.Path(result, "top", headers: null, limit);
            JsonNode? last = null;
            await foreach (var (name, data) in api.StreamAsync(path, cancellationToken))
            {
                if (name == "notice")
                {
                    await context.Error.WriteLineAsync(TapLines.Word((string?)data["text"] ?? string.Empty).Trim('"'));
                }
                else if (name == "top")
                {
                    last = data;
                    if (form == "jsonl")
                    {
                        await context.Out.WriteLineAsync(data.ToJsonString());
                    }
                    else if (draws)
                    {
                        // Home, and clear what was there (ECMA-48 CUP, ED).
                        await context.Out.WriteAsync("\u001b[H\u001b[2J");
                        await WriteAsync(context, api, data, path, form);
                    }
                }
            }

            await EndAsync(context, api, last, path, form, draws);
            return ExitCodes.Ok;
        });
        return command;
    }

    private static async Task EndAsync(CliContext context, ControlPlaneApi api, JsonNode? last, string path, string form, bool drawn)
    {
        if (form is "json" or "yaml")
        {
            await DataForm.WriteAsync(context.Out, form, (last?["items"] as JsonArray ?? []).OfType<JsonNode>());
        }
        else if (form is "table" or "wide" && !drawn && last is not null)
        {
            await WriteAsync(context, api, last, path, form);
        }
    }

    private static async Task WriteAsync(CliContext context, ControlPlaneApi api, JsonNode top, string path, string form)
    {
        var lines = api.Read<TopLine[]>(top["items"] ?? new JsonArray(), path);
        if (lines.Length == 0)
        {
            await context.Error.WriteLineAsync("No such request was seen.");
            return;
        }

        // Where all is of one namespace its name says nothing.
        var one = form != "wide" && lines.SelectMany(l => new[] { l.SourceNamespace, l.DestinationNamespace }).Where(n => n.Length > 0).Distinct(StringComparer.Ordinal).Count() <= 1;
        var table = new Table(
            ("SOURCE", false), ("DESTINATION", false), ("METHOD", false), ("PATH", false), ("COUNT", true), ("BEST", true), ("WORST", true), ("LAST", true), ("SUCCESS", true));
        foreach (var line in lines.Take(Rows))
        {
            table.Add(
                TapLines.Word(one ? line.Source : TapLines.Name(line.SourceNamespace, line.Source)), TapLines.Word(one ? line.Destination : TapLines.Name(line.DestinationNamespace, line.Destination)),
                TapLines.Word(line.Method), TapLines.Word(line.Path), line.Count.ToString(CultureInfo.InvariantCulture), Table.Number(line.BestMs, "0.0", "ms"),
                Table.Number(line.WorstMs, "0.0", "ms"), Table.Number(line.LastMs, "0.0", "ms"), Table.Percent(line.SuccessRate));
        }

        await table.WriteToAsync(context.Out);
        if ((double?)top["sampled"] is < 1 and { } sampled)
        {
            await context.Error.WriteLineAsync($"{Table.Percent(sampled)} of the requests are counted here; --max-rps raises that.");
        }
    }
}
