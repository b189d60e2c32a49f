using Mesh.Cli;
using Mesh.Cli.Agent;

return await MeshCommand.RunAsync(
    args,
    new CliContext(Console.Out, Console.Error, Environment.GetEnvironmentVariable, TimeProvider.System, HostedIdentity.OpenAsync)
    {
        IsTerminal = !Console.IsOutputRedirected,
        OpenBrowser = page => Browser.Open(page, Environment.GetEnvironmentVariable),
    },
    CancellationToken.None);
