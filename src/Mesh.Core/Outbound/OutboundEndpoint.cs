using Mesh.Balancing;
using Mesh.Config;
using Mesh.Identity;

namespace Mesh.Outbound;

/// <summary>A balanced endpoint with its own connections, always under our current identity. Thread-safe.</summary>
internal sealed class OutboundEndpoint(OutboundCluster cluster, Endpoint config, PeakEwma latency, IWorkloadIdentitySource identities, IEndpointTransport transport, TimeProvider time)
    : BalancedEndpoint(config, latency)
{
    private EndpointHandler? _http2;
    private EndpointHandler? _http1;
    private bool _retired;
    private AttemptSeries[] _series = [];

    public OutboundCluster Cluster => cluster;

    public bool IsMesh => Config.Tls == EndpointTls.Mesh;

    /// <summary>TLS of ours ends at it, so that we must have an identity first.</summary>
    public bool NeedsIdentity => IsMesh || cluster.Config.UpstreamTls is not null;

    /// <summary>Calls to come belong on new connections: those show a certificate of ours that has been renewed since, or rest on one that is about to end.</summary>
    public bool IsOutdated(EndpointHandler handler) => IsOutdated(handler, NeedsIdentity ? identities.Current : null);

    /// <summary>The connections to send on; null when it needs an identity that is not there yet. Release it when the call has ended.</summary>
    /// <param name="http1Only">The request must not ride HTTP/2 (upgrades, CONNECT, exactly 1.x).</param>
    public EndpointHandler? TryAcquire(bool http1Only)
    {
        var identity = NeedsIdentity ? identities.Current : null;
        if (identity is null && NeedsIdentity)
        {
            return null;
        }

        ref var slot = ref http1Only ? ref _http1 : ref _http2;
        while (true)
        {
            var current = Volatile.Read(ref slot);
            if (current is not null && !IsOutdated(current, identity) && current.TryAcquire())
            {
                return current;
            }

            var next = new EndpointHandler(transport, Config, cluster.Config, identity, http2: !http1Only, cluster.Connections, time);
            next.TryAcquire();
            if (Volatile.Read(ref _retired))
            {
                // A call that still holds the old table: it alone owns this one.
                next.Release();
                return next;
            }

            if (Interlocked.CompareExchange(ref slot, next, current) == current)
            {
                // The old generation's connections close when the calls on them have ended.
                current?.Release();
                if (Volatile.Read(ref _retired))
                {
                    Retire();
                }

                return next;
            }

            next.Release();
            next.Release();
        }
    }

    /// <summary>Connections that are there, and whether more are being made.</summary>
    public (int Established, bool More) LookAtConnections()
    {
        var (http2, http1) = (Volatile.Read(ref _http2)?.Connections.Look() ?? default, Volatile.Read(ref _http1)?.Connections.Look() ?? default);
        return (http2.Established + http1.Established, http2.More || http1.More);
    }

    /// <summary>Waits for the first identity. The deadline is the caller's token.</summary>
    public ValueTask<WorkloadIdentity> WaitForIdentityAsync(CancellationToken cancellationToken) => identities.GetAsync(cancellationToken);

    /// <summary>How connections live has changed: calls to come get new ones, the old close when the calls on them have ended.</summary>
    public void Reconnect()
    {
        Interlocked.Exchange(ref _http2, null)?.Release();
        Interlocked.Exchange(ref _http1, null)?.Release();
    }

    /// <summary>The endpoint is gone: its connections close when the calls on them have ended.</summary>
    public void Retire()
    {
        Volatile.Write(ref _retired, true);
        Reconnect();
    }

    /// <summary>The series of attempts at this endpoint for calls by one route; found without a dictionary.</summary>
    public AttemptSeries SeriesFor(RouteSeries route)
    {
        var all = Volatile.Read(ref _series);
        for (var i = 0; i < all.Length; i++)
        {
            if (ReferenceEquals(all[i].Route, route))
            {
                return all[i];
            }
        }

        var series = new AttemptSeries(route, this);
        // A racing writer may lose its entry: the next attempt adds it again, and the aggregate gives the same series.
        Volatile.Write(ref _series, [.. all, series]);
        return series;
    }

    /// <summary>A newer generation is as good: a slow reader of the old one must not put it back.</summary>
    private static bool IsOutdated(EndpointHandler handler, WorkloadIdentity? identity) => identity?.LeafGeneration > handler.Generation || handler.Connections.IsOutdated;
}
