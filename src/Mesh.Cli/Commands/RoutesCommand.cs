using System.CommandLine;
using Mesh.Cli.Output;
using Mesh.ControlPlane.Model;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh routes</c>: golden metrics per route of a service.</summary>
internal static class RoutesCommand
{
    public static Command Create(CliContext context)
    {
        var service = new Argument<string>("service") { Description = "pricing, svc/pricing" };
        service.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string?>() is not { } text || text.StartsWith('-'))
            {
                result.AddError($"Unrecognized option '{result.GetValueOrDefault<string?>()}'.");
            }
            else if (GoldenResource.Parse(text, out _) is not { IsService: true, Name: not null })
            {
                result.AddError($"'{text}' is no service: give its name, such as pricing or svc/pricing.");
            }
        });
        var (options, server) = (new GoldenOptions(), new ServerOptions(context));
        var command = new Command("routes", "Success, rate and latency of each route of a service.") { service };
        options.AddTo(command);
        server.AddTo(command);
        command.Validators.Add(result =>
        {
            if (result.GetResult(service)?.GetValueOrDefault<string?>() is { } named && options.ToOf(result) is { } other && other != GoldenResource.NameOf(named))
            {
                result.AddError($"--to is '{other}', and the routes of '{named}' are asked for: name one service.");
            }
        });
        command.SetAction(async (result, cancellationToken) =>
        {
            using var api = server.Open(result);
            var path = options.Golden(
                result, "route", ("destination", GoldenResource.NameOf(result.GetValue(service))), ("destination_namespace", options.Namespace(result)), ("source", options.From(result)));
            return await Screen.ShowAsync(
                context, options.Form(result), options.IsWatched(result), (output, form) => WriteAsync(context, output, form, api, path, options.Span(result), options.Labels(result), cancellationToken), cancellationToken);
        });
        return command;
    }

    private static async Task WriteAsync(CliContext context, TextWriter output, string form, ControlPlaneApi api, string path, AskedSpan span, LabelSelector? labels, CancellationToken cancellationToken)
    {
        var items = await GoldenItem.LoadAsync(api, path, context.Error, cancellationToken);
        if (labels is not null)
        {
            var endpoints = new MeshedEndpoints(await MeshedEndpoint.LoadAsync(api, cancellationToken));
            items = [.. items.Where(i => endpoints.Match(true, i.Item.Destination, i.Item.DestinationNamespace, labels))];
        }

        if (await DataForm.WriteAsync(output, form, items.Select(i => i.Json)))
        {
            return;
        }

        if (items.Count == 0)
        {
            await context.Error.WriteLineAsync($"No calls {span.Words}. Look further back with --window, or at which services are called with 'mesh stat svc'.");
            return;
        }

        // Effective is what callers got; actual is what was sent for it, retries too.
        var table = form == "wide"
            ? new Table(
                ("ROUTE", false), ("SERVICE", false), ("EFFECTIVE_SUCCESS", true), ("EFFECTIVE_RPS", true), ("ACTUAL_SUCCESS", true), ("ACTUAL_RPS", true),
                ("LATENCY_P50", true), ("LATENCY_P95", true), ("LATENCY_P99", true))
            : new Table(("ROUTE", false), ("SERVICE", false), ("SUCCESS", true), ("RPS", true), ("LATENCY_P50", true), ("LATENCY_P95", true), ("LATENCY_P99", true));
        foreach (var (item, _) in items)
        {
            string[] rates = form == "wide"
                ? [Table.Percent(item.EffectiveSuccessRate), Table.Number(item.Rps, "0.0", "rps"), Table.Percent(item.SuccessRate), Table.Number(item.ActualRps, "0.0", "rps")]
                : [Table.Percent(item.SuccessRate), Table.Number(item.Rps, "0.0", "rps")];
            table.Add(
            [
                item.Route is { Length: > 0 } route ? TapLines.Word(route) : "[default]", item.Destination ?? "-", .. rates,
                Table.Number(item.P50Ms, "0.0", "ms"), Table.Number(item.P95Ms, "0.0", "ms"), Table.Number(item.P99Ms, "0.0", "ms"),
            ]);
        }

        await table.WriteToAsync(output);
    }
}
