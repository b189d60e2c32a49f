namespace Mesh.Config;

/// <summary>What a client calls or a server offers under one name: outbound with <see cref="Api"/>, <see cref="Tcp"/> or both, else inbound.</summary>
internal sealed record Listener(string Name)
{
    /// <summary>The outbound form: how calls to this name are routed. Null where no HTTP is read.</summary>
    public HttpConnectionManager? Api { get; init; }

    /// <summary>The outbound form for a sidecar: where connections go whose bytes are not read as HTTP. No two chains take the same server name.</summary>
    public IReadOnlyList<TcpChain> Tcp { get; init; } = [];

    /// <summary>It is for calls out, not for what arrives.</summary>
    public bool IsOutbound => Api is not null || Tcp.Count > 0;

    /// <summary>The inbound form: what a bound address accepts, most specific first.</summary>
    public IReadOnlyList<FilterChain> FilterChains { get; init; } = [];
}

/// <summary>How the requests of a listener find their route.</summary>
/// <param name="RouteConfigurationName">The RDS resource to ask for; null when <paramref name="Inline"/> is given.</param>
/// <param name="Inline">The routes, when they came inside the listener.</param>
/// <param name="MaxStreamDuration">Longest life of a call; null is none (gRFC A31).</param>
internal sealed record HttpConnectionManager(string? RouteConfigurationName, RouteConfiguration? Inline, TimeSpan? MaxStreamDuration)
{
    /// <summary>Those that do something here, in order; the router is not among them.</summary>
    public IReadOnlyList<HttpFilter> Filters { get; init; } = [];
}

/// <summary>Where connections of a sidecar go as they are.</summary>
/// <param name="Name">What was asked for by its canonical name; for metrics.</param>
/// <param name="ServerNames">Which TLS server names it takes, in lower case, each exact or <c>*.suffix</c>; none takes every connection that no other chain takes.</param>
/// <param name="Clusters">At least one, with weights of 1 or more.</param>
internal sealed record TcpChain(string Name, IReadOnlyList<string> ServerNames, IReadOnlyList<WeightedCluster> Clusters);

/// <summary>What happens to a connection that arrived.</summary>
/// <param name="Name">For logs.</param>
/// <param name="Transport">Which first bytes it takes.</param>
/// <param name="MeshTls">True: mesh TLS ends here. False: the bytes pass as they are.</param>
/// <param name="RequireClientCertificate">With <paramref name="MeshTls"/>: refuse a peer without a certificate.</param>
internal sealed record FilterChain(string Name, TransportProtocol Transport, bool MeshTls, bool RequireClientCertificate)
{
    /// <summary>How its requests are treated; null when that was not valid, or it is opaque.</summary>
    public HttpConnectionManager? Http { get; init; }

    /// <summary>Its bytes are nobody's business but the app's: connections are judged, not requests.</summary>
    public bool IsOpaque { get; init; }

    /// <summary>What a connection must pass, in order.</summary>
    public IReadOnlyList<RbacFilter> ConnectionRules { get; init; } = [];
}

/// <summary>The first bytes of a connection (xDS <c>transport_protocol</c>).</summary>
internal enum TransportProtocol
{
    /// <summary>Any bytes.</summary>
    Any,

    /// <summary>A TLS ClientHello (<c>tls</c>).</summary>
    Tls,

    /// <summary>Anything else (<c>raw_buffer</c>).</summary>
    RawBuffer,
}
