namespace Mesh.Transparent.Detection;

/// <summary>What the first bytes of a connection are.</summary>
internal enum WireProtocol
{
    /// <summary>Too few bytes to tell.</summary>
    Unknown,

    /// <summary>An HTTP/1 request (RFC 9112 §3).</summary>
    Http1,

    /// <summary>HTTP/2's preface (RFC 9113 §3.4).</summary>
    Http2,

    /// <summary>TLS that is not the mesh's.</summary>
    Tls,

    /// <summary>TLS whose ALPN offers the mesh's marker.</summary>
    MeshTls,

    /// <summary>Anything else.</summary>
    Opaque,
}

/// <summary>What was found.</summary>
/// <param name="ServerName">Of a TLS hello that names one (SNI); else null.</param>
internal readonly record struct Detected(WireProtocol Protocol, string? ServerName = null);
