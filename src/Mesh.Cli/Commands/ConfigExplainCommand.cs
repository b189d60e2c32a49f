using System.CommandLine;
using Mesh.Cli.Output;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh config explain</c>: what holds for calls to a service, value by value, with where each comes from.</summary>
internal static class ConfigExplainCommand
{
    public static Command Create(CliContext context)
    {
        var service = new Argument<string>("service") { Description = "The service called (catalog, svc/catalog, catalog.shop)" };
        var ns = new Option<string?>("--namespace", "-n") { Description = "Its namespace, where several services have that name" };
        var port = new Option<int?>("--port") { Description = "Only this port (default: all)" };
        var caller = new Option<string?>("--caller") { Description = "As this workload calls it, such as shop/storefront (namespace/service account)" };
        var (output, server) = (CommonOptions.Output(), new ServerOptions(context));
        var command = new Command("explain", "What holds for calls to a service: each value with where it comes from.") { service, ns, port, caller, output };
        server.AddTo(command);
        command.SetAction(async (result, cancellationToken) =>
        {
            using var api = server.Open(result);
            var name = result.GetValue(service)!;
            var query = string.Join('&', new[]
            {
                ("service", name[(name.LastIndexOf('/') + 1)..]), ("namespace", result.GetValue(ns)), ("port", result.GetValue(port)?.ToString(System.Globalization.CultureInfo.InvariantCulture)),
                ("caller", result.GetValue(caller)),
            }.Where(p => p.Item2 is { Length: > 0 }).Select(p => $"{p.Item1}={Uri.EscapeDataString(p.Item2!)}"));
            var path = $"api/v1/explain?{query}";
            var answer = await api.GetAsync(path, cancellationToken);
            if (result.GetValue(output) == "json")
            {
                await context.Out.WriteLineAsync(answer.ToJsonString(ControlPlaneApi.Json));
            }
            else
            {
                await new ExplanationText(context).WriteAsync(api.Read<Explanation>(answer, path));
            }

            return ExitCodes.Ok;
        });
        return command;
    }
}
