using System.CommandLine;
using System.Text.Json.Nodes;
using Mesh.Cli.Output;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh stat</c>: golden metrics per pair, per service or per workload.</summary>
internal static class StatCommand
{
    public static Command Create(CliContext context)
    {
        var resources = new Argument<string[]>("resource")
        {
            Description = "svc, svc/pricing, workload, workload/cart; a bare name is a service's. Without one every pair is shown",
            Arity = ArgumentArity.ZeroOrMore,
        };
        resources.Validators.Add(result =>
        {
            foreach (var text in result.GetValueOrDefault<string[]>() ?? [])
            {
                if (text.StartsWith('-'))
                {
                    result.AddError($"Unrecognized option '{text}'.");
                }
                else if (GoldenResource.Parse(text, out var problem) is null)
                {
                    result.AddError(problem);
                }
            }
        });
        var (options, server) = (new GoldenOptions(), new ServerOptions(context));
        var command = new Command("stat", "Success, rate and latency of every caller→callee pair, service or workload.") { resources };
        options.AddTo(command);
        server.AddTo(command);
        command.Validators.Add(result =>
        {
            foreach (var resource in (result.GetValue(resources) ?? []).Select(r => GoldenResource.Parse(r, out _)))
            {
                var (option, other) = resource?.IsService == true ? ("--to", options.ToOf(result)) : ("--from", options.FromOf(result));
                if (resource?.Name is { } name && other is not null && other != name)
                {
                    result.AddError($"{option} is '{other}', and the numbers of '{name}' are asked for: name one of them.");
                }
            }
        });
        command.SetAction(async (result, cancellationToken) =>
        {
            using var api = server.Open(result);
            GoldenResource[] wanted = [.. (result.GetValue(resources) ?? []).Select(r => GoldenResource.Parse(r, out _)!)];
            return await Screen.ShowAsync(
                context, options.Form(result), options.IsWatched(result),
                (output, form) => wanted.Length == 0 || form is "json" or "yaml" or "jsonl"
                    ? PairsAsync(context, output, form, api, options, result, wanted, cancellationToken)
                    : ResourcesAsync(context, output, form, api, options, result, wanted, cancellationToken),
                cancellationToken);
        });
        return command;
    }

    private static async Task PairsAsync(
        CliContext context, TextWriter output, string form, ControlPlaneApi api, GoldenOptions options, ParseResult result, GoldenResource[] wanted, CancellationToken cancellationToken)
    {
        var (labels, ns) = (options.Labels(result), options.Namespace(result));
        var endpoints = new MeshedEndpoints(labels is null ? [] : await MeshedEndpoint.LoadAsync(api, cancellationToken));
        bool Wanted(Pair pair) => pair.Touches(ns) && (wanted.Length == 0 || wanted.Any(w => w.Name is null || (w.IsService ? pair.Destination : pair.Source) == w.Name))
            && (options.From(result) is not { } from || pair.Source == from) && (options.To(result) is not { } to || pair.Destination == to)
            && (labels is null || endpoints.Match(true, pair.Destination, pair.DestinationNamespace, labels) || endpoints.Match(false, pair.Source, pair.SourceNamespace, labels));
        var span = options.Span(result);
        if (form == "wide")
        {
            await WideAsync(context, output, await Pair.LoadItemsAsync(api, span, options.IsWatched(result), context.Error, Wanted, cancellationToken), span);
            return;
        }

        var pairs = await Pair.LoadAsync(api, span, options.IsWatched(result), context.Error, Wanted, cancellationToken);
        if (await DataForm.WriteAsync(output, form, pairs.Select(p => p.Json)))
        {
            return;
        }

        if (pairs.Count == 0)
        {
            await NothingAsync(context, span);
            return;
        }

        var table = new Table(
            ("SRC", false), ("DST", false), ("SUCCESS", true), ("EFFECTIVE", true), ("RPS", true),
            ("LATENCY_P50", true), ("LATENCY_P95", true), ("LATENCY_P99", true), ("SECURED", true), ("RETRIES", true));
        foreach (var (pair, _) in pairs)
        {
            table.Add(
                pair.Source, pair.Destination, Table.Percent(pair.SuccessRate), Table.Percent(pair.EffectiveSuccessRate), Table.Number(pair.Rps, "0.0", "rps"),
                Table.Number(pair.P50Ms, "0.0", "ms"), Table.Number(pair.P95Ms, "0.0", "ms"), Table.Number(pair.P99Ms, "0.0", "ms"),
                Table.Percent(pair.MtlsShare), Table.Number(pair.Retries, "0"));
        }

        await table.WriteToAsync(output);
    }

    /// <summary>With namespaces, and with what is no HTTP.</summary>
    private static async Task WideAsync(CliContext context, TextWriter output, IReadOnlyList<(GoldenItem Item, JsonNode Json)> items, AskedSpan span)
    {
        if (items.Count == 0)
        {
            await NothingAsync(context, span);
            return;
        }

        var table = new Table(
        [
            ("SRC", false), ("DST", false), ("SRC_NS", false), ("DST_NS", false), ("SUCCESS", true), ("EFFECTIVE", true), ("RPS", true),
            ("LATENCY_P50", true), ("LATENCY_P95", true), ("LATENCY_P99", true), ("SECURED", true), ("RETRIES", true), .. TcpColumns.Heads,
        ]);
        foreach (var (item, _) in items)
        {
            // Of bytes nobody says whether they were a success.
            string Call(string text) => item.HasCalls ? text : "-";
            table.Add(
            [
                item.Source ?? "-", item.Destination ?? "-", item.SourceNamespace is { Length: > 0 } from ? from : "-", item.DestinationNamespace is { Length: > 0 } to ? to : "-",
                Call(Table.Percent(item.SuccessRate)), Call(Table.Percent(item.EffectiveSuccessRate)), Call(Table.Number(item.Rps, "0.0", "rps")),
                Call(Table.Number(item.P50Ms, "0.0", "ms")), Call(Table.Number(item.P95Ms, "0.0", "ms")), Call(Table.Number(item.P99Ms, "0.0", "ms")),
                Table.Percent(item.MtlsShare), Call(Table.Number(item.Retries, "0")), .. TcpColumns.Of(item),
            ]);
        }

        await table.WriteToAsync(output);
    }

    private static async Task ResourcesAsync(
        CliContext context, TextWriter output, string form, ControlPlaneApi api, GoldenOptions options, ParseResult result, GoldenResource[] wanted, CancellationToken cancellationToken)
    {
        var endpoints = new MeshedEndpoints(await MeshedEndpoint.LoadAsync(api, cancellationToken));
        var table = new Table(
            [("NAME", false), .. form == "wide" ? new (string, bool)[] { ("NAMESPACE", false) } : [], ("MESHED", true), ("SUCCESS", true), .. form == "wide" ? new (string, bool)[] { ("EFFECTIVE", true) } : [],
                ("RPS", true), ("LATENCY_P50", true), ("LATENCY_P95", true), ("LATENCY_P99", true), .. form == "wide" ? [.. TcpColumns.Heads, ("SECURED", true)] : new (string, bool)[] { ("TCP_CONN", true) }]);
        var rows = 0;
        foreach (var resource in wanted.Distinct())
        {
            foreach (var (item, _) in await LoadAsync(context, api, options, result, resource, cancellationToken))
            {
                var (name, ns) = resource.IsService ? (item.Destination, item.DestinationNamespace) : (item.Source, item.SourceNamespace);
                if (!endpoints.Match(resource.IsService, name, ns, options.Labels(result)))
                {
                    continue;
                }

                string[] Wide(string cell) => form == "wide" ? [cell] : [];
                rows++;
                table.Add(
                [
                    $"{(resource.IsService ? "svc" : "workload")}/{name}", .. Wide(ns is { Length: > 0 } ? ns : "-"), endpoints.Share(resource.IsService, name, ns), Table.Percent(item.SuccessRate), .. Wide(Table.Percent(item.EffectiveSuccessRate)),
                    Table.Number(item.Rps, "0.0", "rps"), Table.Number(item.P50Ms, "0.0", "ms"), Table.Number(item.P95Ms, "0.0", "ms"), Table.Number(item.P99Ms, "0.0", "ms"),
                    .. form == "wide" ? TcpColumns.Of(item) : TcpColumns.Of(item)[..1], .. Wide(Table.Percent(item.MtlsShare)),
                ]);
            }
        }

        if (rows == 0)
        {
            await NothingAsync(context, options.Span(result));
            return;
        }

        await table.WriteToAsync(output);
    }

    private static Task<IReadOnlyList<(GoldenItem Item, JsonNode Json)>> LoadAsync(
        CliContext context, ControlPlaneApi api, GoldenOptions options, ParseResult result, GoldenResource resource, CancellationToken cancellationToken)
    {
        var ns = options.Namespace(result);
        var path = resource.IsService
            ? options.Golden(result, "service", ("destination", resource.Name ?? options.To(result)), ("destination_namespace", ns), ("source", options.From(result)))
            : options.Golden(result, "workload", ("source", resource.Name ?? options.From(result)), ("source_namespace", ns), ("destination", options.To(result)));
        return GoldenItem.LoadAsync(api, path, context.Error, cancellationToken);
    }

    private static Task NothingAsync(CliContext context, AskedSpan span) =>
        context.Error.WriteLineAsync($"No calls {span.Words}. Look further back with --window, or at what is meshed with 'mesh check'.");
}
