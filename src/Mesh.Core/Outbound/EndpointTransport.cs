using System.Diagnostics.Metrics;
using Mesh.Config;
using Mesh.Identity;
using Microsoft.Extensions.Logging;

namespace Mesh.Outbound;

/// <summary>What carries requests to one endpoint. Real sockets in a program; a simulated network in simulations. Thread-safe.</summary>
internal interface IEndpointTransport
{
    /// <param name="identity">Who we are; null only for endpoints without TLS.</param>
    /// <param name="http2">False: HTTP/1.1 only.</param>
    /// <param name="connected">To be called for every connection that was made.</param>
    HttpMessageHandler Create(Endpoint endpoint, Cluster cluster, WorkloadIdentity? identity, bool http2, Action connected);

    /// <summary>Makes a connection, TLS included where the endpoint has it, and closes it again: a TCP health check.</summary>
    /// <param name="identity">Who we are; null only for endpoints without TLS.</param>
    /// <exception cref="EndpointConnectException">No connection came about.</exception>
    Task ConnectAsync(Endpoint endpoint, Cluster cluster, WorkloadIdentity? identity, CancellationToken cancellationToken) =>
        throw new NotSupportedException("This transport makes no bare connections.");
}

/// <summary>SocketsHttpHandler over <see cref="MeshConnector"/>.</summary>
internal sealed class SocketsTransport(TimeProvider time, ILogger logger) : IEndpointTransport
{
    public HttpMessageHandler Create(Endpoint endpoint, Cluster cluster, WorkloadIdentity? identity, bool http2, Action connected) => new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        UseProxy = false,
        ActivityHeadersPropagator = null,
        MeterFactory = SilentMeters.Instance,
        EnableMultipleHttp2Connections = true,
        KeepAlivePingDelay = TimeSpan.FromSeconds(20),
        KeepAlivePingTimeout = TimeSpan.FromSeconds(10),
        PooledConnectionIdleTimeout = cluster.Connections.IdleTimeout,
        // The connector bounds it: so that a timeout is known to have sent nothing.
        ConnectTimeout = Timeout.InfiniteTimeSpan,
        // Whatever the URI says, this handler dials one endpoint.
        ConnectCallback = async (_, cancellationToken) =>
        {
            var stream = await MeshConnector.ConnectAsync(endpoint, cluster.UpstreamTls, identity, http2, cluster.ConnectTimeout, time, logger, cancellationToken).ConfigureAwait(false);
            connected();
            return stream;
        },
    };

    public async Task ConnectAsync(Endpoint endpoint, Cluster cluster, WorkloadIdentity? identity, CancellationToken cancellationToken)
    {
        var stream = await MeshConnector.ConnectAsync(endpoint, cluster.UpstreamTls, identity, http2: true, cluster.ConnectTimeout, time, logger, cancellationToken).ConfigureAwait(false);
        await stream.DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>Meters that nobody can listen to by a provider's own factory: the inner handler would record each attempt with endpoint addresses (contracts §7).</summary>
    private sealed class SilentMeters : IMeterFactory
    {
        public static readonly SilentMeters Instance = new();
        private readonly Meter _meter = new("Mesh.Silent");

        public Meter Create(MeterOptions options) => _meter;

        public void Dispose()
        {
        }
    }
}
