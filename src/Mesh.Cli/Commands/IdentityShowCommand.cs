using System.CommandLine;
using Mesh.Cli.Output;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh identity show</c>: one identity's certificates, and all above them.</summary>
internal static class IdentityShowCommand
{
    public static Command Create(CliContext context)
    {
        var id = new Argument<string>("identity") { Description = "A SPIFFE ID, or namespace/service-account such as shop/cart" };
        var (output, server) = (CommonOptions.Output(), new ServerOptions(context));
        var command = new Command("show", "A workload's certificate and its chain: names, key, validity.") { id, output };
        server.AddTo(command);
        command.SetAction(async (result, cancellationToken) =>
        {
            using var api = server.Open(result);
            var path = $"api/v1/identity/workloads/show?id={Uri.EscapeDataString(result.GetValue(id)!)}";
            var answer = await api.GetAsync(path, cancellationToken);
            if (result.GetValue(output) == "json")
            {
                await context.Out.WriteLineAsync(answer.ToJsonString(ControlPlaneApi.Json));
            }
            else
            {
                await IdentityText.WriteDetailsAsync(api.Read<List<IdentityDetails>>(answer, path), context.Out);
            }

            return ExitCodes.Ok;
        });
        return command;
    }
}
