using System.CommandLine;
using System.Text.Json.Nodes;
using Mesh.Cli.Output;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh edges</c>: who calls whom, and is it encrypted.</summary>
internal static class EdgesCommand
{
    public static Command Create(CliContext context)
    {
        var (options, server) = (new GoldenOptions(), new ServerOptions(context));
        var command = new Command("edges", "Who calls whom, and whether mutual TLS secures it.");
        options.AddTo(command);
        server.AddTo(command);
        command.SetAction(async (result, cancellationToken) =>
        {
            using var api = server.Open(result);
            return await Screen.ShowAsync(
                context, options.Form(result), options.IsWatched(result), (output, form) => WriteAsync(context, output, form, api, options, result, cancellationToken), cancellationToken);
        });
        return command;
    }

    private static async Task WriteAsync(CliContext context, TextWriter output, string form, ControlPlaneApi api, GoldenOptions options, ParseResult result, CancellationToken cancellationToken)
    {
        var (labels, ns) = (options.Labels(result), options.Namespace(result));
        var endpoints = new MeshedEndpoints(labels is null ? [] : await MeshedEndpoint.LoadAsync(api, cancellationToken));
        bool Wanted(Pair pair) => pair.Touches(ns) && (options.From(result) is not { } from || pair.Source == from) && (options.To(result) is not { } to || pair.Destination == to)
            && (labels is null || endpoints.Match(true, pair.Destination, pair.DestinationNamespace, labels) || endpoints.Match(false, pair.Source, pair.SourceNamespace, labels));
        var span = options.Span(result);
        if (form is "json" or "yaml" or "jsonl")
        {
            var pairs = await Pair.LoadAsync(api, span, options.IsWatched(result), context.Error, Wanted, cancellationToken);
            await DataForm.WriteAsync(output, form, pairs.Select(p => p.Json));
            return;
        }

        // Connections that carry no HTTP are edges too.
        var items = await Pair.LoadItemsAsync(api, span, options.IsWatched(result), context.Error, Wanted, cancellationToken);
        if (items.Count == 0)
        {
            await context.Error.WriteLineAsync($"No calls {span.Words}. Look further back with --window, or at what is meshed with 'mesh check'.");
            return;
        }

        var ids = form == "wide" ? await IdentitiesAsync(context, api, span, cancellationToken) : null;
        var table = new Table(
        [
            ("SRC", false), ("DST", false), ("SRC_NS", false), ("DST_NS", false), .. ids is null ? Array.Empty<(string, bool)>() : [("CLIENT_ID", false), ("SERVER_ID", false)], ("SECURED", false),
            .. ids is null ? Array.Empty<(string, bool)>() : TcpColumns.Heads,
        ]);
        foreach (var (item, _) in items)
        {
            var (client, to) = ids?.GetValueOrDefault((item.Source, item.SourceNamespace, item.Destination, item.DestinationNamespace)) ?? (null, null);
            table.Add(
            [
                item.Source ?? "-", item.Destination ?? "-", Dash(item.SourceNamespace), Dash(item.DestinationNamespace), .. ids is null ? Array.Empty<string>() : [Dash(client), Dash(to)],
                Secured(context, item.MtlsShare), .. ids is null ? [] : TcpColumns.Of(item),
            ]);
        }

        await table.WriteToAsync(output);
    }

    private static async Task<Dictionary<(string?, string?, string?, string?), (string? Client, string? Server)>> IdentitiesAsync(CliContext context, ControlPlaneApi api, AskedSpan span, CancellationToken cancellationToken)
    {
        var answer = await api.GetAsync($"api/v1/security?{GoldenOptions.Text(span.Query)}", cancellationToken);
        if ((bool?)answer["past"] == true)
        {
            await context.Error.WriteLineAsync("mesh: which identities stood behind these names then is not kept");
        }

        return (answer["mtls"] as JsonArray ?? []).OfType<JsonObject>()
            .DistinctBy(Key).ToDictionary(Key, e => ((string?)e["source_identity"], (string?)e["destination_identity"]));

        static (string?, string?, string?, string?) Key(JsonObject edge) =>
            ((string?)edge["source"], (string?)edge["source_namespace"], (string?)edge["destination"], (string?)edge["destination_namespace"]);
    }

    private static string Dash(string? text) => text is null or "" ? "-" : text;

    private static string Secured(CliContext context, double? share) => share switch
    {
        null => "-",
        >= 1 => context.HasUnicode ? "√" : "yes",
        0 => context.HasUnicode ? "×" : "no",
        _ => Table.Percent(share),
    };
}
