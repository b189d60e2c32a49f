using System.Diagnostics.Metrics;
using System.Net.Security;
using Mesh.Config;
using Mesh.Identity;

namespace Mesh.Outbound;

/// <summary>What carries requests to one endpoint. Real sockets in a program; a simulated network in simulations. Thread-safe.</summary>
internal interface IEndpointTransport
{
    /// <param name="identity">Who we are; null only for endpoints without TLS.</param>
    /// <param name="http2">False: HTTP/1.1 only.</param>
    /// <param name="connected">To be called for every connection that was made.</param>
    HttpMessageHandler Create(Endpoint endpoint, Cluster cluster, WorkloadIdentity? identity, bool http2, Action connected);

    /// <summary>The same, with each connection counted from before it is made until it is closed.</summary>
    HttpMessageHandler Create(Endpoint endpoint, Cluster cluster, WorkloadIdentity? identity, bool http2, EndpointConnections connections) =>
        Create(endpoint, cluster, identity, http2, connections.Connected);

    /// <summary>Makes a connection, TLS included where the endpoint has it, and closes it again: a TCP health check.</summary>
    /// <param name="identity">Who we are; null only for endpoints without TLS.</param>
    /// <exception cref="EndpointConnectException">No connection came about.</exception>
    Task ConnectAsync(Endpoint endpoint, Cluster cluster, WorkloadIdentity? identity, CancellationToken cancellationToken) =>
        throw new NotSupportedException("This transport makes no bare connections.");
}

/// <summary>SocketsHttpHandler over <see cref="MeshConnector"/>.</summary>
/// <param name="identities">Asked at every connection for what holds then: a bundle may have changed since the handler was made. Null: what the handler was made with.</param>
internal sealed class SocketsTransport(MeshConnector connector, IWorkloadIdentitySource? identities = null) : IEndpointTransport
{
    /// <summary>How long an HTTP/2 connection is silent before it is asked whether it lives, calls or not.</summary>
    public TimeSpan PingDelay { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>How long it may take to answer that; then it is dead and its calls fail.</summary>
    public TimeSpan PingTimeout { get; init; } = TimeSpan.FromSeconds(10);

    public HttpMessageHandler Create(Endpoint endpoint, Cluster cluster, WorkloadIdentity? identity, bool http2, Action connected) => Create(
        cluster,
        async (_, cancellationToken) =>
        {
            var stream = await connector.ConnectAsync(endpoint, cluster, Newest(identity), http2, null, cancellationToken).ConfigureAwait(false);
            connected();
            return stream;
        });

    public HttpMessageHandler Create(Endpoint endpoint, Cluster cluster, WorkloadIdentity? identity, bool http2, EndpointConnections connections)
    {
        connections.Dial = async cancellationToken =>
        {
            var permit = connections.Open();
            try
            {
                return new ReadyConnection(await connector.ConnectAsync(endpoint, cluster, Newest(identity), http2, permit, cancellationToken).ConfigureAwait(false), permit);
            }
            catch
            {
                permit.Dispose();
                throw;
            }
        };
        return Create(
            cluster,
            async (context, cancellationToken) =>
            {
                var connection = await connections.TakeAsync(cancellationToken).ConfigureAwait(false);
                connection.Permit.Established(
                    connection.Stream is SslStream tls ? tls.NegotiatedApplicationProtocol == SslApplicationProtocol.Http2 : context.InitialRequestMessage.Version.Major >= 2);
                return connection.Stream;
            });
    }

    /// <summary>Null stays null: no TLS.</summary>
    private WorkloadIdentity? Newest(WorkloadIdentity? made) => made is not null && identities?.Current is { } current && current.Generation > made.Generation ? current : made;

    private SocketsHttpHandler Create(Cluster cluster, Func<SocketsHttpConnectionContext, CancellationToken, ValueTask<Stream>> connect) => new()
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        UseProxy = false,
        ActivityHeadersPropagator = null,
        MeterFactory = SilentMeters.Instance,
        EnableMultipleHttp2Connections = true,
        KeepAlivePingDelay = PingDelay,
        KeepAlivePingTimeout = PingTimeout,
        PooledConnectionIdleTimeout = cluster.Connections.IdleTimeout,
        PooledConnectionLifetime = cluster.Connections.MaxAge ?? Timeout.InfiniteTimeSpan,
        // The connector bounds it: so that a timeout is known to have sent nothing.
        ConnectTimeout = Timeout.InfiniteTimeSpan,
        // Whatever the URI says, this handler dials one endpoint.
        ConnectCallback = connect,
    };

    public async Task ConnectAsync(Endpoint endpoint, Cluster cluster, WorkloadIdentity? identity, CancellationToken cancellationToken)
    {
        var stream = await connector.ConnectAsync(endpoint, cluster, Newest(identity), http2: true, null, cancellationToken).ConfigureAwait(false);
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
