using System.Net;
using Mesh.Outbound;

namespace Mesh.Transparent.Outbound;

/// <summary>A connection of the app: where it was going, and what that is to the mesh. A feature of the connection, so that its requests look nothing up.</summary>
internal sealed class OutboundConnection(IPEndPoint destination, ListenerKey key, DialledAddress dialled, EgressDestinations egress)
{
    private EgressInvoker? _invoker;

    public IPEndPoint Destination => destination;

    public ListenerKey Key => key;

    /// <summary>As it was when the connection came.</summary>
    public DialledAddress Dialled => dialled;

    /// <summary>Why its first request can't be sent; told once, and asked anew for the next one.</summary>
    public string? TakeWhyNot() => Interlocked.Exchange(ref _whyNot, null);

    private string? _whyNot = dialled.Why;

    /// <summary>Sends what the mesh does not know to where it was going.</summary>
    public HttpMessageInvoker Egress => _invoker ??= egress.InvokerFor(destination);
}
