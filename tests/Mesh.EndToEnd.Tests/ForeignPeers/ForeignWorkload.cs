namespace Mesh.EndToEnd.Tests.ForeignPeers;

/// <summary>A server that is not ours, with its identity agent beside it.</summary>
internal sealed class ForeignWorkload : IAsyncDisposable
{
    private readonly ChildProcess _agent;
    private readonly ChildProcess _server;

    private ForeignWorkload(ChildProcess agent, ChildProcess server) => (_agent, _server) = (agent, server);

    /// <summary>What both have written to stderr.</summary>
    public string Errors => _agent.Errors + _server.Errors;

    /// <summary>Starts both; the server serves once the control plane lets it.</summary>
    public static async Task<ForeignWorkload> StartAsync(RunningMesh mesh, string peer, string account, int port, params string[] methods)
    {
        var agent = await Agent.StartAsync(mesh, account, "--serves", $"127.0.0.1:{port}");
        try
        {
            return new ForeignWorkload(agent, await ForeignServer.StartAsync(peer, await Agent.BootstrapAsync(mesh, account), $"127.0.0.1:{port}", peer, methods));
        }
        catch
        {
            await agent.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        await _agent.DisposeAsync();
    }
}
