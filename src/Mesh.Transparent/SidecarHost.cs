using System.Net;
using Mesh.Identity;
using Mesh.Inbound;
using Mesh.Transparent.Admin;
using Mesh.Transparent.Inbound;
using Mesh.Transparent.Interception;
using Mesh.Transparent.Outbound;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Mesh.Transparent;

/// <summary>The life of the proxy: binds at once, is ready with certificate and policies, drains when it is told to stop.</summary>
/// <remarks>
/// Draining: not ready → no more connections in; HTTP/1 connections close after their answer, HTTP/2 ones get GOAWAY, all else may end → the app's own connections stay usable until it has closed them
/// → the end, at the latest after <see cref="SidecarOptions.DrainTimeout"/>. As a native sidecar it is told when the app has ended, and is done at once.
/// </remarks>
internal sealed partial class SidecarHost(
    SidecarOptions options, OutboundSide outbound, InboundSide inbound, InboundPlaces places, OwnAddresses addresses, IWorkloadIdentitySource identity,
    Lazy<AdminServer> admin, IHostApplicationLifetime lifetime, TimeProvider time, ILogger<SidecarHost> logger) : IHostedService, ISidecarState
{
    private static readonly TimeSpan _look = TimeSpan.FromMilliseconds(20);
    private readonly List<InboundAddress> _awaited = [];
    private volatile bool _serving;
    private volatile bool _draining;

    public OutboundSide Outbound => outbound;

    public InboundSide Inbound => inbound;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await admin.Value.StartAsync(cancellationToken).ConfigureAwait(false);
        await outbound.StartAsync(cancellationToken).ConfigureAwait(false);
        await inbound.StartAsync(cancellationToken).ConfigureAwait(false);
        foreach (var port in options.InboundPorts)
        {
            foreach (var address in options.InstanceIps ?? addresses.Reachable)
            {
                _awaited.Add(places.Keep(new IPEndPoint(address, port)));
            }
        }

        _serving = true;
        Log.Serving(logger, string.Join(", ", outbound.Endpoints), string.Join(", ", inbound.Endpoints));
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        _draining = true;
        if (!_serving)
        {
            return;
        }

        var started = time.GetTimestamp();
        Log.Draining(logger, inbound.Active, outbound.Active);
        using var timed = new CancellationTokenSource(options.DrainTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timed.Token, cancellationToken);
        await inbound.StopAsync(either.Token).ConfigureAwait(false);
        await OutboundEndAsync(either.Token).ConfigureAwait(false);
        await outbound.StopAsync(either.Token).ConfigureAwait(false);
        // Last: who waits for the end sees it coming.
        await admin.Value.StopAsync(either.Token).ConfigureAwait(false);
        Log.Drained(logger, time.GetElapsedTime(started).TotalSeconds, inbound.Active, outbound.Active);
    }

    public IReadOnlyList<string> NotReadyBecause()
    {
        var missing = new List<string>();
        if (_draining)
        {
            missing.Add("it is draining");
        }

        if (!_serving)
        {
            missing.Add("its ports are not bound yet");
        }

        if (identity.Current is null)
        {
            missing.Add($"it has no certificate: {identity.Problem ?? "the control plane has not answered yet"}");
        }

        foreach (var address in _awaited)
        {
            if (address.Policy is null)
            {
                missing.Add($"the control plane has not said yet what {address.Name} accepts");
            }
        }

        return missing;
    }

    public void BeginDrain() => lifetime.StopApplication();

    /// <summary>Until the app has closed what it opened.</summary>
    private async Task OutboundEndAsync(CancellationToken cancellationToken)
    {
        using var tick = new PeriodicTimer(_look, time);
        try
        {
            while (outbound.Active > 0)
            {
                await tick.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException)
        {
            // It has had its time.
        }
    }

    private static partial class Log
    {
        [LoggerMessage(6300, LogLevel.Information, "Outbound on {Outbound}, inbound on {Inbound}", EventName = nameof(Serving))]
        public static partial void Serving(ILogger logger, string outbound, string inbound);

        [LoggerMessage(6301, LogLevel.Information, "Draining: {Inbound} connections in, {Outbound} out", EventName = nameof(Draining))]
        public static partial void Draining(ILogger logger, int inbound, int outbound);

        [LoggerMessage(6302, LogLevel.Information, "Drained in {Seconds:0.0} s; {Inbound} connections in and {Outbound} out were broken off", EventName = nameof(Drained))]
        public static partial void Drained(ILogger logger, double seconds, int inbound, int outbound);
    }
}
