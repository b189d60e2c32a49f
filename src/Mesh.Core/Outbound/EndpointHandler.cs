using Mesh.Config;
using Mesh.Identity;
using Mesh.Resilience;

namespace Mesh.Outbound;

/// <summary>The connections to one endpoint under one certificate of ours. Closed when it is retired and its last call has ended. Thread-safe.</summary>
#pragma warning disable CA1001 // Release disposes, when the last reference is gone
internal sealed class EndpointHandler
#pragma warning restore CA1001
{
    private readonly HttpMessageInvoker _invoker;

    // 1 for the owner, and 1 per call.
    private int _references = 1;

    public EndpointHandler(IEndpointTransport transport, Endpoint endpoint, Cluster cluster, WorkloadIdentity? identity, bool http2, ConnectionLimits limits, TimeProvider time)
    {
        Generation = identity?.LeafGeneration ?? 0;
        Connections = new EndpointConnections(limits, time);
        _invoker = new HttpMessageInvoker(transport.Create(endpoint, cluster, identity, http2, Connections), disposeHandler: true);
    }

    public EndpointConnections Connections { get; }

    /// <summary><see cref="WorkloadIdentity.LeafGeneration"/>: another bundle is judged at each connection. 0 without identity.</summary>
    public int Generation { get; }

    /// <summary>A connection was made after this timestamp: an attempt that started then may have waited for it.</summary>
    public bool ConnectedSince(long timestamp) => Connections.ConnectedAt >= timestamp;

    /// <summary>False when it is closed already.</summary>
    public bool TryAcquire()
    {
        var seen = Volatile.Read(ref _references);
        while (seen > 0)
        {
            var found = Interlocked.CompareExchange(ref _references, seen + 1, seen);
            if (found == seen)
            {
                return true;
            }

            seen = found;
        }

        return false;
    }

    public Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) => _invoker.SendAsync(request, cancellationToken);

    /// <summary>A call has ended, or the owner lets go.</summary>
    public void Release()
    {
        if (Interlocked.Decrement(ref _references) == 0)
        {
            _invoker.Dispose();
            Connections.Dispose();
        }
    }
}
