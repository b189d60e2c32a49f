using System.CommandLine;
using System.Globalization;
using Mesh.Cli.Output;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh explain</c>: what becomes of one request, decided as the data plane decides it.</summary>
internal static class ExplainCommand
{
    public static Command Create(CliContext context)
    {
        var caller = new Argument<string>("caller") { Description = "Who calls: shop/storefront (namespace/service account), a SPIFFE ID, or 'outside'" };
        var service = new Argument<string>("service") { Description = "The service called (catalog, svc/catalog, catalog.shop)" };
        var method = new Argument<string>("method") { Description = "GET, POST, … (gRPC: POST)" };
        var path = new Argument<string>("path") { Description = "/items/7?page=2 (gRPC: /package.Service/Method)" };
        var ns = new Option<string?>("--namespace", "-n") { Description = "The service's namespace (default: the caller's, where it has one of that name)" };
        var port = new Option<int?>("--port") { Description = "The service's port (default: 80, else its first)" };
        var headers = new Option<string[]>("--header", "-H") { Description = "A header of the request, 'name: value'; may be given more than once", Arity = ArgumentArity.OneOrMore };
        var claims = new Option<string[]>("--claim") { Description = "A claim of a verified token, 'name=value'; may be given more than once", Arity = ArgumentArity.OneOrMore };
        var source = new Option<string?>("--from-ip") { Description = "The address that the call comes from, for rules about networks" };
        var (output, server) = (CommonOptions.AnyOutput(), new ServerOptions(context));
        var command = new Command("explain", "What becomes of one request: where it goes, whether it is let in, which rule says so, and what is missing.")
        {
            caller, service, method, path, ns, port, headers, claims, source, output,
        };
        server.AddTo(command);
        const string Now = "one request is decided by what is in force now.";
        RefusedOption.AddTo(
            command, (["--from"], "the first argument is who calls."), (["--to"], "the second argument is what is called."), (["--all-namespaces", "-A"], "one service is called; name its namespace with -n."),
            (["--selector", "-l"], "one caller and one service are named."), (["--window", "-t"], Now), (["--watch", "-w"], Now));
        command.SetAction(async (result, cancellationToken) =>
        {
            using var api = server.Open(result);
            var name = result.GetValue(service)!;
            (string, string?)[] given =
            [
                ("caller", result.GetValue(caller)), ("service", name.StartsWith("svc/", StringComparison.Ordinal) ? name[4..] : name), ("namespace", result.GetValue(ns)),
                ("port", result.GetValue(port)?.ToString(CultureInfo.InvariantCulture)), ("method", result.GetValue(method)), ("path", result.GetValue(path)), ("source", result.GetValue(source)),
                .. (result.GetValue(headers) ?? []).Select(h => ("header", (string?)h)), .. (result.GetValue(claims) ?? []).Select(c => ("claim", (string?)c)),
            ];
            var query = string.Join('&', given.Where(p => p.Item2 is { Length: > 0 }).Select(p => $"{p.Item1}={Uri.EscapeDataString(p.Item2!)}"));
            var asked = $"api/v1/explain/request?{query}";
            var answer = await api.GetAsync(asked, cancellationToken);
            var explained = api.Read<ExplainedRequest>(answer, asked);
            var form = result.GetValue(output)!;
            if (!await DataForm.WriteAsync(context.Out, form, answer, [answer]))
            {
                await new ExplainedRequestText(context, form == "wide").WriteAsync(explained);
            }

            return explained.Allowed == false ? ExitCodes.CheckFailed : ExitCodes.Ok;
        });
        return command;
    }
}
