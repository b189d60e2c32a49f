namespace Mesh.ControlPlane.Hosting;

/// <summary>Runs the inner host within an outer one: up before any other hosted service starts, down after all have stopped.</summary>
internal sealed class EmbeddedControlPlane(MeshControlPlaneOptions options, ControlPlaneParts parts, MeshControlPlane handle, ILoggerFactory loggers, TimeProvider time)
    : IHostedLifecycleService, IAsyncDisposable
{
    private readonly MeshControlPlaneHost _host = new(options, parts, time, loggers);

    public async Task StartingAsync(CancellationToken cancellationToken)
    {
        try
        {
            var addresses = await _host.StartAsync(cancellationToken);
            handle.Started(addresses, _host.Services!);
        }
        catch (Exception e)
        {
            handle.Failed(e);
            throw;
        }
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => _host.StopAsync();

    public ValueTask DisposeAsync() => _host.DisposeAsync();
}
