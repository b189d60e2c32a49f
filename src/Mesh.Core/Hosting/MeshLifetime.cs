using Mesh.Config;
using Mesh.Export;
using Mesh.Identity;
using Mesh.Tap;
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
    private IdleSeriesSweep? _sweep;
    private MetricsListener? _listener;
    private OtlpSpanExporter? _spans;
    private TapAttendance? _attendance;
    private IDisposable? _trust;

    public Task StartingAsync(CancellationToken cancellationToken)
    {
        if (!activation.IsOn)
        {
            Log.MeshIsOff(logger);
            return Task.CompletedTask;
        }

        var options = services.GetRequiredService<IOptions<MeshOptions>>().Value;
        if (options.Metrics)
        {
            MeshInstruments.Register(services);
        }

        if (options.MetricsListen is { } listen && MetricsListener.TryParse(listen, out var endPoint))
        {
            _listener = services.GetRequiredService<MetricsListener>();
            _listener.Start(endPoint);
        }

        var config = services.GetRequiredService<IConfigSource>();
        if (services.GetRequiredService<IWorkloadIdentitySource>() is SvidRotator rotator)
        {
            // First: connections to the control plane are judged when the rotator has taken the bundle.
            _trust = services.GetRequiredService<ControlPlaneTrust>().Follow(config.Snapshots);
            rotator.Start(config.Snapshots);
        }

        ConfigSourceFactory.Start(config);
        var controlPlane = services.GetService<IEmbeddedControlPlane>() is null ? options.ControlPlane : "this process";
        if (!string.IsNullOrWhiteSpace(controlPlane))
        {
            if (options.Metrics)
            {
                _exporter = services.GetRequiredService<OtlpMetricsExporter>();
                _exporter.Start();
            }

            _spans = services.GetRequiredService<OtlpSpanExporter>();
            _spans.Start();
            _attendance = services.GetRequiredService<TapAttendance>();
            _attendance.Start();
            Log.MeshIsOn(logger, services.GetRequiredService<LocalNode>().Id, controlPlane);
        }

        if (options.Metrics && _exporter is null)
        {
            // Nothing is sent, but may be scraped.
            _sweep = services.GetRequiredService<IdleSeriesSweep>();
            _sweep.Start();
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

        if (_attendance is not null)
        {
            await _attendance.DisposeAsync().ConfigureAwait(false);
        }

        if (_exporter is not null)
        {
            await _exporter.StopAsync(LongestFlush).ConfigureAwait(false);
        }

        if (_sweep is not null)
        {
            await _sweep.DisposeAsync().ConfigureAwait(false);
        }

        if (_listener is not null)
        {
            await _listener.DisposeAsync().ConfigureAwait(false);
        }

        if (_spans is not null)
        {
            await _spans.StopAsync(LongestFlush).ConfigureAwait(false);
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
