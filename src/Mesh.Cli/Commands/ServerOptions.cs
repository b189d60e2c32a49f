using System.CommandLine;

namespace Mesh.Cli.Commands;

/// <summary>Which control plane to ask, and as whom: <c>--server</c> and <c>--token</c>, else <c>MESH_SERVER</c> and <c>MESH_TOKEN</c>.</summary>
internal sealed class ServerOptions(CliContext context)
{
    private readonly Option<string?> _server = new("--server") { Description = "The control plane's HTTP address, such as http://127.0.0.1:15014 [MESH_SERVER]" };
    private readonly Option<string?> _token = new("--token") { Description = "The admin token of the control plane's ready line [MESH_TOKEN]" };

    public void AddTo(Command command)
    {
        command.Options.Add(_server);
        command.Options.Add(_token);
    }

    public ControlPlaneApi Open(ParseResult result)
    {
        var server = Value(result, _server, "MESH_SERVER");
        if (server is null)
        {
            throw new CliException(
                ExitCodes.Usage, "no control plane was named", "neither --server nor MESH_SERVER is set", "mesh … --server http://127.0.0.1:15014 --token TOKEN (both stand in the control plane's ready line)");
        }

        if (!Uri.TryCreate(server, UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https"))
        {
            throw new CliException(ExitCodes.Usage, $"'{server}' is no address of a control plane", "an absolute http:// or https:// URL is needed", "--server http://127.0.0.1:15014");
        }

        return new ControlPlaneApi(address, Value(result, _token, "MESH_TOKEN"));
    }

    private string? Value(ParseResult result, Option<string?> option, string variable) =>
        result.GetValue(option) is { Length: > 0 } given ? given : context.Environment(variable) is { Length: > 0 } set ? set : null;
}
