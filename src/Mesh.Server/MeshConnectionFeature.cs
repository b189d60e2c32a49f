using Mesh.Inbound;
using Mesh.Policy;
using Mesh.Traffic;
using Microsoft.AspNetCore.Http;

namespace Mesh.Server;

/// <summary>What is known of a connection that came through the mesh's listener.</summary>
/// <param name="address">Null where no policy applies (Unix socket).</param>
/// <param name="firstBytes">What it began with.</param>
/// <param name="isMeshTls">Mesh TLS ends in this process.</param>
/// <param name="endpoint">The local <c>ip:port</c>, for metrics.</param>
internal sealed class MeshConnectionFeature(InboundAddress? address, Listening.FirstBytes firstBytes, bool isMeshTls, string endpoint)
{
    private HttpContextHead? _head;

    public InboundAddress? Address => address;

    public bool IsMeshTls => isMeshTls;

    /// <summary>The caller is a mesh client: it writes http URIs, whatever carries them.</summary>
    public bool IsMarked => firstBytes == Listening.FirstBytes.MeshTls;

    /// <summary>Neither mesh TLS nor the app's own.</summary>
    public bool IsPlaintext => firstBytes is Listening.FirstBytes.Plain or Listening.FirstBytes.Incomplete;

    /// <summary>Inside of mesh TLS are bytes of any protocol, and no requests.</summary>
    public bool IsTcp { get; set; }

    public string Endpoint => endpoint;

    /// <summary>Set when the handshake is over; null without mesh TLS.</summary>
    public MeshPeerFeature? Peer { get; set; }

    /// <summary>Who calls, for limits: the verified identity, else the address. Found at the connection's first limited request.</summary>
    public string? Caller { get; set; }

    /// <summary>What access rules see of it. Found when it is judged first.</summary>
    public RbacConnection? Facts { get; set; }

    /// <summary>A head to judge the request by; it goes back with <see cref="GiveBack"/>, so that requests that come one after the other share it.</summary>
    public HttpContextHead TakeHead(HttpRequest request) => Interlocked.Exchange(ref _head, null)?.Over(request) ?? new HttpContextHead(request);

    public void GiveBack(HttpContextHead? head)
    {
        if (head is not null)
        {
            _head = head;
        }
    }

    // Most requests of a connection name the same host. A race looks twice.
    private CanonicalHost _host = CanonicalHost.None;

    /// <summary>The one form of a request's host.</summary>
    public CanonicalHost HostOf(string given)
    {
        var last = _host;
        return last.Given == given ? last : _host = CanonicalHost.Of(given);
    }

    /// <inheritdoc cref="Caller"/>
    public string CallerOf(HttpContext context) => Caller ??= Peer?.Id.ToString() ?? context.Connection.RemoteIpAddress switch
    {
        null => "local",
        { IsIPv4MappedToIPv6: true } address => address.MapToIPv4().ToString(),
        var address => address.ToString(),
    };

    // By route, looked up at the first request of each. A race finds the same series twice, and may lose an entry, which is then found again.
    private InboundSeries[] _series = [];

    /// <summary>Where requests by one route are counted; null when none has come on this connection yet.</summary>
    public InboundSeries? SeriesOf(string route)
    {
        foreach (var series in Volatile.Read(ref _series))
        {
            if (ReferenceEquals(series.Route, route) || series.Route == route)
            {
                return series;
            }
        }

        return null;
    }

    public InboundSeries Add(InboundSeries series)
    {
        Volatile.Write(ref _series, [.. Volatile.Read(ref _series), series]);
        return series;
    }
}
