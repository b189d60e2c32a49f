using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Mesh.Cli.Output;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh traces</c>: what single calls did on their way; <c>mesh traces show</c>: one of them as a tree.</summary>
internal static class TracesCommand
{
    private const string Path = "api/v1/traces";

    public static Command Create(CliContext context)
    {
        var (output, @namespace, server) = (CommonOptions.AnyOutput(), new Option<string?>("--namespace", "-n") { Description = "Only traces that touch this namespace" }, new ServerOptions(context));
        var all = new Option<bool>("--all-namespaces", "-A") { Description = "All namespaces, which is what is shown without -n" };
        var service = new Option<string?>("--service") { Description = "Only traces that touch this service or workload" };
        var failed = new Option<bool>("--failed") { Description = "Only traces with a failed call" };
        var least = CommonOptions.Time("--min", TimeSpan.Zero, "Only traces that took at least so long, such as 100ms");
        var limit = new Option<int>("--limit") { Description = "At most so many, newest first (default 50)", DefaultValueFactory = _ => 50 };
        var watch = new Option<bool>("--watch", "-w") { Description = "Again every second, until Ctrl-C: drawn anew on a terminal, else lines of JSON" };
        var from = new EndOption("--from", "Only traces in which this workload calls; or that began then or later, such as 2026-01-31T14:05:00Z or -1h. May be given for each");
        var to = new EndOption("--to", "Only traces with a call to this service or workload; or that began before. May be given for each");
        var labels = CommonOptions.Selector("Only traces that touch a workload with these labels, such as app=cart,tier!=test");
        var window = CommonOptions.Time("--window", TimeSpan.Zero, "Only traces that began so long ago at most; all that are kept without it", "-t");
        var command = new Command("traces", "Calls on their way through the mesh: who called whom, how long each took, what the mesh decided.")
        {
            output, @namespace, all, service, from.Option, to.Option, labels, failed, least, limit, window, watch,
        };
        server.AddTo(command);
        EndOption.Check(command, from, to, window, watch);
        command.Subcommands.Add(Show(context));
        command.SetAction(async (result, cancellationToken) =>
        {
            using var api = server.Open(result);
            var path = Path + Query(
                ("service", result.GetValue(service) is { } wanted ? wanted[(wanted.LastIndexOf('/') + 1)..] : null),
                ("namespace", result.GetValue(all) ? null : result.GetValue(@namespace)),
                ("source", from.Name(result)),
                ("destination", to.Name(result)),
                ("labels", result.GetValue(labels)),
                ("min_ms", result.GetValue(least) is { } time && time > TimeSpan.Zero ? time.TotalMilliseconds.ToString(CultureInfo.InvariantCulture) : null),
                ("failed", result.GetValue(failed) ? "true" : null),
                ("limit", result.GetValue(limit).ToString(CultureInfo.InvariantCulture)),
                ("window", result.GetValue(window) is { } last && last > TimeSpan.Zero ? Math.Max(1, (int)last.TotalSeconds).ToString(CultureInfo.InvariantCulture) : null),
                ("from", from.Moment(result)),
                ("to", to.Moment(result)));
            return await Screen.ShowAsync(context, result.GetValue(output)!, result.GetValue(watch), (screen, form) => WriteAsync(context, screen, form, api, path, cancellationToken), cancellationToken);
        });
        return command;
    }

    private static async Task WriteAsync(CliContext context, TextWriter to, string form, ControlPlaneApi api, string path, CancellationToken cancellationToken)
    {
        var answer = await api.GetAsync(path, cancellationToken);
        await Wholeness.TellAsync(answer, context.Error);
        var items = answer["items"] as JsonArray ?? [];
        if (await DataForm.WriteAsync(to, form, items.OfType<JsonNode>()))
        {
            return;
        }

        if (items.Count > 0)
        {
            await TraceText.WriteListAsync([.. items.Select(i => api.Read<TraceLine>(i!, path))], form == "wide", to);
        }
        else
        {
            await context.Error.WriteLineAsync("No such trace is kept. Of calls that begin in a workload 1 % are traced, and failed ones: set Mesh:Traces:Ratio there to trace more.");
        }
    }

    private static Command Show(CliContext context)
    {
        var id = new Argument<string>("trace") { Description = "The trace's id, as 'mesh traces' and access logs show it" };
        var (output, server) = (CommonOptions.AnyOutput(), new ServerOptions(context));
        var command = new Command("show", "One trace as a tree: calls, attempts, durations, and what the mesh decided.") { id, output };
        server.AddTo(command);
        command.SetAction(async (result, cancellationToken) =>
        {
            using var api = server.Open(result);
            var path = $"{Path}/{Uri.EscapeDataString(result.GetValue(id)!)}";
            var answer = await api.GetAsync(path, cancellationToken);
            await Wholeness.TellAsync(answer, context.Error);
            var form = result.GetValue(output)!;
            if (!await DataForm.WriteAsync(context.Out, form, answer, (answer["spans"] as JsonArray ?? []).OfType<JsonNode>()))
            {
                await TraceText.WriteTreeAsync(api.Read<Trace>(answer, path), form == "wide", context.Out);
            }

            return ExitCodes.Ok;
        });
        return command;
    }

    private static string Query(params (string Name, string? Value)[] values) =>
        "?" + string.Join('&', values.Where(v => !string.IsNullOrEmpty(v.Value)).Select(v => $"{v.Name}={Uri.EscapeDataString(v.Value!)}"));
}
