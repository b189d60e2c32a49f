using System.CommandLine;
using System.Text.Json.Nodes;
using Mesh.Cli.Cluster;
using Mesh.Cli.Output;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh diagnostics</c>: what the control plane knows, as it knows it.</summary>
internal static class DiagnosticsCommand
{
    public static Command Create(CliContext context) => new("diagnostics", "What the control plane knows, as it knows it.")
    {
        Endpoints(context), Policy(context), Config(context), Metrics(context),
    };

    private static Command Endpoints(CliContext context)
    {
        var service = new Argument<string?>("service") { Description = "Only of this Service (catalog, catalog.shop)", Arity = ArgumentArity.ZeroOrOne };
        var (output, ns, server) = (CommonOptions.Output(), new Option<string?>("--namespace", "-n") { Description = "Only of this namespace" }, new ServerOptions(context));
        var command = new Command("endpoints", "Every address behind Services: whose it is, whether it is ready and meshed, and why not.") { service, output, ns };
        server.AddTo(command);
        command.SetAction(async (result, cancellationToken) =>
        {
            var (name, space) = Split(result.GetValue(service), result.GetValue(ns));
            using var api = server.Open(result);
            var found = (await api.GetArrayAsync("api/v1/workloads", cancellationToken)).OfType<JsonObject>()
                .Where(w => (name is null || w.Text("service") == name) && (space is null || w.Text("namespace") == space)).ToList();
            if (result.GetValue(output) == "json")
            {
                await context.Out.WriteLineAsync(new JsonArray([.. found.Select(f => f.DeepClone())]).ToJsonString(ControlPlaneApi.Json));
                return ExitCodes.Ok;
            }

            var table = new Table(("NAMESPACE", false), ("SERVICE", false), ("ADDRESS", false), ("READY", false), ("MESHED", false), ("IDENTITY", false));
            foreach (var workload in found)
            {
                table.Add(workload.Text("namespace") ?? "-", workload.Text("service") ?? "-", workload.Text("address") ?? "-", Word(workload["ready"]), Word(workload["meshed"]), workload.Text("identity") ?? "-");
            }

            await table.WriteToAsync(context.Out);
            foreach (var reason in found.Select(w => w.Text("reason")).OfType<string>().Distinct())
            {
                await context.Error.WriteLineAsync(reason);
            }

            return ExitCodes.Ok;
        });
        return command;
    }

    private static Command Policy(CliContext context)
    {
        var policy = new Argument<string?>("policy") { Description = "Only this policy, by its name", Arity = ArgumentArity.ZeroOrOne };
        var (output, ns, server) = (CommonOptions.Output(), new Option<string?>("--namespace", "-n") { Description = "Only of this namespace" }, new ServerOptions(context));
        var command = new Command("policy", "Every policy, where it is attached, and what became of it there.") { policy, output, ns };
        server.AddTo(command);
        command.SetAction(async (result, cancellationToken) =>
        {
            using var api = server.Open(result);
            var found = (await api.GetArrayAsync("api/v1/policies", cancellationToken)).OfType<JsonObject>()
                .Where(p => (result.GetValue(policy) is not { } name || p.Text("name") == name) && (result.GetValue(ns) is not { } space || p.Text("namespace") == space)).ToList();
            if (result.GetValue(output) == "json")
            {
                await context.Out.WriteLineAsync(new JsonArray([.. found.Select(f => f.DeepClone())]).ToJsonString(ControlPlaneApi.Json));
                return ExitCodes.Ok;
            }

            var table = new Table(("NAMESPACE", false), ("KIND", false), ("NAME", false), ("TARGET", false), ("ACCEPTED", false), ("REASON", false));
            foreach (var each in found)
            {
                foreach (var ancestor in each.Each("ancestors").DefaultIfEmpty([]))
                {
                    var condition = ancestor.Each("conditions").Concat(each.Each("conditions")).FirstOrDefault(c => c.Text("type") == "Accepted");
                    var section = ancestor.Text("ancestor_ref", "section_name");
                    table.Add(each.Text("namespace") ?? "-", each.Text("kind") ?? "-", each.Text("name") ?? "-",
                        ancestor.At("ancestor_ref") is null ? "-" : $"{ancestor.Text("ancestor_ref", "kind")}/{ancestor.Text("ancestor_ref", "name")}{(section is null ? string.Empty : $":{section}")}",
                        condition.Text("status") ?? "-", condition.Text("reason") ?? "-");
                }
            }

            await table.WriteToAsync(context.Out);
            return ExitCodes.Ok;
        });
        return command;
    }

    private static Command Config(CliContext context)
    {
        var node = new Argument<string?>("node") { Description = "Only this client (its id, as in the dump)", Arity = ArgumentArity.ZeroOrOne };
        var server = new ServerOptions(context);
        var command = new Command("config", "Every resource each client was sent, as JSON (as 'mesh config dump').") { node };
        server.AddTo(command);
        command.SetAction(async (result, cancellationToken) =>
        {
            using var api = server.Open(result);
            var path = result.GetValue(node) is { Length: > 0 } id ? $"api/v1/config_dump?node={Uri.EscapeDataString(id)}" : "api/v1/config_dump";
            await context.Out.WriteLineAsync((await api.GetAsync(path, cancellationToken)).ToJsonString(ControlPlaneApi.Json));
            return ExitCodes.Ok;
        });
        return command;
    }

    private static Command Metrics(CliContext context)
    {
        var server = new ServerOptions(context);
        var command = new Command("metrics", "The control plane's own metrics, as Prometheus reads them.");
        server.AddTo(command);
        command.SetAction(async (result, cancellationToken) =>
        {
            using var api = server.Open(result);
            await context.Out.WriteAsync(await api.GetTextAsync("metrics", cancellationToken));
            return ExitCodes.Ok;
        });
        return command;
    }

    private static (string? Name, string? Namespace) Split(string? service, string? ns) =>
        service?[(service.LastIndexOf('/') + 1)..].Split('.') is [var name, var space, ..] ? (name, space) : (service?[(service.LastIndexOf('/') + 1)..], ns);

    private static string Word(JsonNode? flag) => flag?.GetValueKind() == System.Text.Json.JsonValueKind.True ? "yes" : "no";
}
