using Mesh.Cli;
using Mesh.Cli.Agent;

return await MeshCommand.RunAsync(
    args,
    new CliContext(Console.Out, Console.Error, Environment.GetEnvironmentVariable, TimeProvider.System, HostedIdentity.OpenAsync),
    CancellationToken.None);
