using System.CommandLine;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh identity revoke</c>: an identity or one certificate is no longer believed, by the control plane and by every workload.</summary>
internal static class IdentityRevokeCommand
{
    private const string Path = "api/v1/identity/revocations";

    public static Command Create(CliContext context)
    {
        var id = new Argument<string?>("identity") { Description = "A SPIFFE ID, or namespace/service-account such as shop/cart", Arity = ArgumentArity.ZeroOrOne };
        var serial = new Option<string?>("--serial") { Description = "One certificate, by its serial number ('mesh identity list')" };
        var reason = new Option<string?>("--reason") { Description = "Kept with the revocation" };
        var undo = new Option<bool>("--undo") { Description = "Believe it again" };
        var (output, server) = (CommonOptions.Output(), new ServerOptions(context));
        var command = new Command("revoke", "Stops believing an identity or one certificate; live connections end too.") { id, serial, reason, undo, output };
        server.AddTo(command);
        command.Validators.Add(result =>
        {
            if ((result.GetValue(id) is null) == (result.GetValue(serial) is null))
            {
                result.AddError("Give either an identity or --serial.");
            }

            if (result.GetValue(undo) && result.GetValue(reason) is not null)
            {
                result.AddError("--reason says nothing with --undo: leave it out.");
            }
        });
        command.SetAction(async (result, cancellationToken) =>
        {
            using var api = server.Open(result);
            var (what, number) = (result.GetValue(id), result.GetValue(serial));
            var answer = result.GetValue(undo)
                ? await api.DeleteAsync(Path, new { Id = what, Serial = number }, cancellationToken)
                : await api.PostAsync(Path, new { Id = what, Serial = number, Reason = result.GetValue(reason) }, cancellationToken);
            if (result.GetValue(output) == "json")
            {
                await context.Out.WriteLineAsync(answer.ToJsonString(ControlPlaneApi.Json));
            }
            else
            {
                await context.Error.WriteLineAsync($"{answer["id"] ?? answer["serial"]} {(result.GetValue(undo) ? "is believed again." : "is revoked: it gets no certificate, and no workload accepts it.")}");
            }

            return ExitCodes.Ok;
        });
        return command;
    }
}
