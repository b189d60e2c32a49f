using System.CommandLine;
using Mesh.Cli.Cluster;

namespace Mesh.Cli.Commands;

/// <summary>
/// Which control plane to ask, and as whom: <c>--server</c> and <c>--token</c>, else <c>MESH_SERVER</c> and <c>MESH_TOKEN</c>, else the one of the cluster that kubectl would ask, through its API server.
/// </summary>
internal sealed class ServerOptions(CliContext context)
{
    private readonly Option<string?> _server = new("--server") { Description = "The control plane's HTTP address, such as http://127.0.0.1:15014 [MESH_SERVER]; without one the cluster's is asked" };
    private readonly Option<string?> _token = new("--token") { Description = "Its admin token: in the ready line, in a cluster in the Secret mesh-admin-token [MESH_TOKEN]" };

    public ClusterOptions Cluster { get; } = new(context);

    public void AddTo(Command command)
    {
        command.Options.Add(_server);
        command.Options.Add(_token);
        Cluster.AddTo(command);
    }

    /// <summary>A control plane was named by its address; a cluster that is named on the command line goes before one of the environment.</summary>
    public bool HasServer(ParseResult result) => Server(result) is not null;

    /// <summary>As it was given; null: it was not.</summary>
    public string? Token(ParseResult result) => Value(result, _token, "MESH_TOKEN");

    public ControlPlaneApi Open(ParseResult result)
    {
        var token = Token(result);
        if (Server(result) is not { } server)
        {
            return Cluster.IsNamed(result) ? new ControlPlaneApi(new ServiceProxy(Cluster.Open(result), token)) : throw new CliException(
                ExitCodes.Usage, "no control plane was named", "neither --server nor MESH_SERVER is set, and there is no kubeconfig of a cluster",
                "mesh … --server http://127.0.0.1:15014 --token TOKEN (both stand in the control plane's ready line)");
        }

        if (!Uri.TryCreate(server, UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https"))
        {
            throw new CliException(ExitCodes.Usage, $"'{server}' is no address of a control plane", "an absolute http:// or https:// URL is needed", "--server http://127.0.0.1:15014");
        }

        return new ControlPlaneApi(address, token);
    }

    private string? Server(ParseResult result) => result.GetValue(_server) is { Length: > 0 } given ? given
        : !Cluster.IsGiven(result) && context.Environment("MESH_SERVER") is { Length: > 0 } set ? set : null;

    private string? Value(ParseResult result, Option<string?> option, string variable) =>
        result.GetValue(option) is { Length: > 0 } given ? given : context.Environment(variable) is { Length: > 0 } set ? set : null;
}
