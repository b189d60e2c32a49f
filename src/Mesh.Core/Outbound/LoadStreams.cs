using System.Net;
using Mesh.Balancing;
using Mesh.Concurrency;
using Mesh.Config;
using Microsoft.Extensions.Logging;

namespace Mesh.Outbound;

/// <summary>Keeps a stream of load reports from every endpoint of one cluster, when its policy wants them out of band (ORCA, gRFC A51). Thread-safe.</summary>
/// <remarks>The streams ride the endpoints' own connections and are no calls: no metric of calls sees them.</remarks>
internal sealed partial class LoadStreams(string cluster, TimeProvider time, Random random, ILogger logger) : IAsyncDisposable
{
    private const string Path = "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics";
    private const int MaxReportBytes = 64 * 1024;
    private readonly Lock _lock = new();
    private readonly Dictionary<OutboundEndpoint, Running> _streams = [];
    private List<Task> _ending = [];
    private WeightedRoundRobin? _settings;
    private bool _disposed;

    /// <summary>Takes over settings and endpoints.</summary>
    public void Update(Cluster config, IReadOnlyList<BalancedEndpoint> endpoints)
    {
        var settings = config is { LoadBalancing: LoadBalancing.WeightedRoundRobin, WeightedRoundRobin: { OutOfBand: true } wanted } ? wanted : null;
        lock (_lock)
        {
            if (_disposed || (settings is null && _streams.Count == 0))
            {
                return;
            }

            var keep = settings is not null && settings.OutOfBandPeriod == _settings?.OutOfBandPeriod;
            // What else changed, streams that stay read from here.
            Volatile.Write(ref _settings, settings);
            var current = settings is null ? [] : endpoints.Where(e => e.Config.Healthy).Cast<OutboundEndpoint>().ToHashSet();
            foreach (var endpoint in _streams.Keys.Where(e => !keep || !current.Contains(e)).ToArray())
            {
                StopLocked(endpoint);
            }

            foreach (var endpoint in current)
            {
                if (!_streams.ContainsKey(endpoint))
                {
                    var stop = new CancellationTokenSource();
                    var backoff = new Backoff(new Random(random.Next()));
                    using (ExecutionContext.SuppressFlow())
                    {
                        _streams[endpoint] = new(stop, Task.Run(() => RunAsync(endpoint, settings!.OutOfBandPeriod, backoff, stop.Token), CancellationToken.None));
                    }
                }
            }
        }
    }

    /// <summary>Ends all streams; who waits for the end awaits <see cref="DisposeAsync"/>.</summary>
    public void Stop()
    {
        lock (_lock)
        {
            _disposed = true;
            foreach (var endpoint in _streams.Keys.ToArray())
            {
                StopLocked(endpoint);
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        Stop();
        await Task.WhenAll(_ending).ConfigureAwait(false);
    }

    private void StopLocked(OutboundEndpoint endpoint)
    {
        _streams.Remove(endpoint, out var running);
        // Its registrations run elsewhere.
        _ = running!.Stop.CancelAsync();
        _ending = [.. _ending.Where(t => !t.IsCompleted), running.Task];
    }

    private async Task RunAsync(OutboundEndpoint endpoint, TimeSpan period, Backoff backoff, CancellationToken cancellationToken)
    {
        try
        {
            while (await StreamAsync(endpoint, period, backoff, cancellationToken).ConfigureAwait(false))
            {
                await Task.Delay(backoff.Next(), time, cancellationToken).ConfigureAwait(false);
            }

            Log.NotReported(logger, endpoint.Config.HostPort, cluster);
        }
        catch (Exception) when (cancellationToken.IsCancellationRequested)
        {
            // Asked for; a stream that is cut off tells of it in more than one way.
        }
        catch (Exception e)
        {
            Log.StreamDied(logger, e, endpoint.Config.HostPort);
        }
    }

    /// <summary>One stream, until it ends. False when the endpoint has no such service: it need not be asked again.</summary>
    private async Task<bool> StreamAsync(OutboundEndpoint endpoint, TimeSpan period, Backoff backoff, CancellationToken cancellationToken)
    {
        if (endpoint.NeedsIdentity)
        {
            await endpoint.WaitForIdentityAsync(cancellationToken).ConfigureAwait(false);
        }

        if (endpoint.TryAcquire(http1Only: false) is not { } handler)
        {
            return true;
        }

        try
        {
            using var request = GrpcFrames.Request(HealthProbes.Authority(endpoint), Path, Question(period));
            using var response = await handler.SendAsync(request, cancellationToken).ConfigureAwait(false);
            if (response.StatusCode == HttpStatusCode.OK)
            {
                var body = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
                while (await GrpcFrames.ReadAsync(body, MaxReportBytes, cancellationToken).ConfigureAwait(false) is { } message)
                {
                    backoff.Reset();
                    if (Volatile.Read(ref _settings) is { } settings && LoadReportReader.TryRead(message, settings.MetricNames, out var report))
                    {
                        endpoint.ReportLoad(report, settings, time.GetTimestamp());
                    }

                    if (endpoint.IsOutdated(handler))
                    {
                        // Our certificate is a new one: the stream must not keep the old connection open.
                        return true;
                    }
                }
            }

            var status = GrpcFrames.Status(response);
            Log.StreamEnded(logger, endpoint.Config.HostPort, $"status {status}");
            return status != GrpcFrames.Unimplemented;
        }
        catch (Exception e) when (e is HttpRequestException or IOException or InvalidDataException && !cancellationToken.IsCancellationRequested)
        {
            Log.StreamEnded(logger, endpoint.Config.HostPort, e.Message);
            return true;
        }
        finally
        {
            handler.Release();
        }
    }

    /// <summary>OrcaLoadReportRequest: field 1 is the interval, a Duration of seconds (1) and nanoseconds (2).</summary>
    private static byte[] Question(TimeSpan period)
    {
        List<byte> duration = [];
        Add(duration, 1, period.Ticks / TimeSpan.TicksPerSecond);
        Add(duration, 2, period.Ticks % TimeSpan.TicksPerSecond * TimeSpan.NanosecondsPerTick);
        return [(1 << 3) | 2, (byte)duration.Count, .. duration];

        static void Add(List<byte> message, int field, long value)
        {
            message.Add((byte)(field << 3));
            for (; value >= 0x80; value >>= 7)
            {
                message.Add((byte)(value | 0x80));
            }

            message.Add((byte)value);
        }
    }

    private sealed record Running(CancellationTokenSource Stop, Task Task);
}
