using Mesh.Balancing;
using Mesh.Config;
using Mesh.Identity;
using Mesh.Telemetry;

namespace Mesh.Outbound;

/// <summary>The path of a connection out whose bytes are not the mesh's business: from the cluster to a connected endpoint. Thread-safe.</summary>
/// <remarks>
/// In this order: drop (what the control plane does not want) → limit (connections of the cluster) → balance (another endpoint than before) → connect, with mesh TLS where the endpoint has it.
/// An endpoint that can't be connected is passed over: nothing was sent to it. Once connected nothing is tried again.
/// </remarks>
internal sealed class OpaquePipeline(
    MeshConnector connector, IWorkloadIdentitySource identities, DecisionCounter decisions, OutboundSettings settings, TimeProvider time, Random random)
{
    /// <summary>Endpoints that are tried for one connection.</summary>
    public const int MaxAttempts = 3;

    /// <param name="isTls">The bytes are TLS of the caller's own: they may go to a peer of the mesh that takes no others as they are, for nobody can read them.</param>
    /// <exception cref="OpaqueRefusedException">No connection: the message says which step failed.</exception>
    public async ValueTask<OpaqueConnection> ConnectAsync(OutboundCluster cluster, Destination? destination, bool isTls, CancellationToken cancellationToken)
    {
        var start = time.GetTimestamp();
        if (cluster.Balancer.Drop(random) is { } category)
        {
            decisions.Count(Decisions.Drop, category, cluster.Service, cluster.Namespace);
            throw new OpaqueRefusedException($"The control plane wants some connections to cluster '{cluster.Name}' dropped (category '{category}').");
        }

        if (!cluster.Limit.TryEnter())
        {
            throw TooMany(cluster, "max_requests", cluster.Limit.Max);
        }

        if (!cluster.Connections.TryOpen(evenBeyond: false))
        {
            cluster.Limit.Exit();
            throw TooMany(cluster, "max_connections", cluster.Connections.MaxOpen);
        }

        OpaqueConnection? connected = null;
        try
        {
            return connected = await ConnectAsync(cluster, destination, isTls, start, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            if (connected is null)
            {
                GiveBack(cluster);
                destination?.RecordConnection(time.GetElapsedTime(start), cancellationToken.IsCancellationRequested ? Verdict.Cancelled : Verdict.Failure, mesh: false);
            }
        }
    }

    private async ValueTask<OpaqueConnection> ConnectAsync(OutboundCluster cluster, Destination? destination, bool isTls, long start, CancellationToken cancellationToken)
    {
        TriedEndpoints tried = default;
        for (var attempt = 1; ; attempt++)
        {
            if (cluster.Balancer.Pick(random, tried, time.GetTimestamp()) is not OutboundEndpoint endpoint)
            {
                throw new OpaqueRefusedException($"No endpoint to connect to: {cluster.WhyEmpty}.");
            }

            tried.Add(endpoint);
            endpoint.AttemptStarted();
            try
            {
                var stream = await DialAsync(endpoint, isTls, cancellationToken).ConfigureAwait(false);
                return new OpaqueConnection(stream, endpoint, destination, start, time);
            }
            catch (EndpointConnectException e)
            {
                endpoint.AttemptEnded();
                cluster.Balancer.ConnectFailed(endpoint);
                cluster.Balancer.Report(endpoint, failed: true, time.GetTimestamp());
                if (attempt == MaxAttempts || cluster.Balancer.Endpoints.Count <= attempt)
                {
                    throw new OpaqueRefusedException($"{e.Message} ({attempt} endpoints tried)", e);
                }

                decisions.Count(Decisions.Retry, "connect_failure", cluster.Service, cluster.Namespace);
            }
            catch
            {
                endpoint.AttemptEnded();
                throw;
            }
        }
    }

    private async ValueTask<Stream> DialAsync(OutboundEndpoint endpoint, bool isTls, CancellationToken cancellationToken)
    {
        var (config, cluster) = (endpoint.Config, endpoint.Cluster.Config);
        if (endpoint.IsMesh && !config.SpeaksTcp)
        {
            if (!isTls)
            {
                throw new OpaqueRefusedException(
                    $"The endpoint {config.HostPort} is in the mesh and takes HTTP alone over mesh TLS, and these bytes are no HTTP. They are not sent in the clear. Run its workload behind the sidecar to take them.");
            }

            (config, cluster) = (config with { Tls = EndpointTls.None }, cluster with { UpstreamTls = null });
        }

        var identity = config.Tls == EndpointTls.Mesh || cluster.UpstreamTls is not null ? await IdentityAsync(cancellationToken).ConfigureAwait(false) : null;
        return await connector.ConnectAsync(config, cluster, identity, HopProtocol.Tcp, permit: null, cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask<WorkloadIdentity> IdentityAsync(CancellationToken cancellationToken)
    {
        if (identities.Current is { } current)
        {
            return current;
        }

        using var timed = new CancellationTokenSource(settings.ReadyTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timed.Token);
        try
        {
            return await identities.GetAsync(either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new OpaqueRefusedException("This workload has no certificate yet: the certificate authority has not answered. Check the control plane's address and the token.");
        }
    }

    private OpaqueRefusedException TooMany(OutboundCluster cluster, string reason, int max)
    {
        decisions.Count(Decisions.Shed, reason, cluster.Service, cluster.Namespace);
        return new OpaqueRefusedException($"{max} connections or calls are open to cluster '{cluster.Name}', which is its limit.");
    }

    internal static void GiveBack(OutboundCluster cluster)
    {
        cluster.Connections.Closed();
        cluster.Limit.Exit();
    }
}

/// <summary>A connection to an endpoint that carries bytes of any protocol. One owner.</summary>
internal sealed class OpaqueConnection(Stream stream, OutboundEndpoint endpoint, Destination? destination, long start, TimeProvider time) : IAsyncDisposable
{
    private int _ended;

    public Stream Stream => stream;

    public OutboundEndpoint Endpoint => endpoint;

    /// <summary>Gives back what it holds, and records it.</summary>
    /// <param name="failed">It broke before either side had ended it.</param>
    public async ValueTask EndAsync(bool failed)
    {
        if (Interlocked.Exchange(ref _ended, 1) != 0)
        {
            return;
        }

        await stream.DisposeAsync().ConfigureAwait(false);
        endpoint.AttemptEnded();
        endpoint.Cluster.Balancer.Report(endpoint, failed, time.GetTimestamp());
        OpaquePipeline.GiveBack(endpoint.Cluster);
        destination?.RecordConnection(time.GetElapsedTime(start), failed ? Verdict.Failure : Verdict.Success, endpoint.IsMesh);
    }

    public ValueTask DisposeAsync() => EndAsync(failed: false);
}

/// <summary>The mesh made no connection; no byte was sent. The message says why.</summary>
internal sealed class OpaqueRefusedException(string message, Exception? inner = null) : IOException(message, inner);
