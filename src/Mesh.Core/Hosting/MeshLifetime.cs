using Mesh.Config;
using Mesh.Export;
using Mesh.Identity;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Mesh.Hosting;

/// <summary>Starts the mesh before the app's own services and ends it after them; never waits for the network at start.</summary>
internal sealed partial class MeshLifetime(IServiceProvider services, MeshActivation activation, ILogger<MeshLifetime> logger) : IHostedLifecycleService
{
    private static readonly TimeSpan LongestFlush = TimeSpan.FromSeconds(2);
    private OtlpMetricsExporter? _exporter;
    private IDisposable? _trust;

    public Task StartingAsync(CancellationToken cancellationToken)
    {
        if (!activation.IsOn)
        {
            Log.MeshIsOff(logger);
            return Task.CompletedTask;
        }

        var config = services.GetRequiredService<IConfigSource>();
        if (services.GetRequiredService<IWorkloadIdentitySource>() is SvidRotator rotator)
        {
            // First: connections to the control plane are judged when the rotator has taken the bundle.
            _trust = services.GetRequiredService<ControlPlaneTrust>().Follow(config.Snapshots);
            rotator.Start(config.Snapshots);
        }

        ConfigSourceFactory.Start(config);
        var options = services.GetRequiredService<IOptions<MeshOptions>>().Value;
        var controlPlane = services.GetService<IEmbeddedControlPlane>() is null ? options.ControlPlane : "this process";
        if (!string.IsNullOrWhiteSpace(controlPlane))
        {
            _exporter = services.GetRequiredService<OtlpMetricsExporter>();
            _exporter.Start();
            Log.MeshIsOn(logger, services.GetRequiredService<LocalNode>().Id, controlPlane);
        }

        return Task.CompletedTask;
    }

    /// <summary>In reverse order of the start, when the last request has ended.</summary>
    public async Task StoppedAsync(CancellationToken cancellationToken)
    {
        if (!activation.IsOn)
        {
            return;
        }

        if (_exporter is not null)
        {
            await _exporter.StopAsync(LongestFlush).ConfigureAwait(false);
        }

        if (services.GetRequiredService<IConfigSource>() is IAsyncDisposable config)
        {
            await config.DisposeAsync().ConfigureAwait(false);
        }

        if (services.GetRequiredService<IWorkloadIdentitySource>() is SvidRotator rotator)
        {
            await rotator.DisposeAsync().ConfigureAwait(false);
            _trust?.Dispose();
        }
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
