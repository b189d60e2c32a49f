using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Mesh.Server;

/// <summary>Makes the second server's options: the app's own, without its endpoints.</summary>
internal static class MeshKestrelOptions
{
    public static KestrelServerOptions From(KestrelServerOptions app, IServiceProvider services)
    {
        var mesh = new KestrelServerOptions
        {
            ApplicationServices = services,
            // Mesh clients write http URIs and carry them over TLS (contracts §4).
            AllowAlternateSchemes = true,
            AddServerHeader = app.AddServerHeader,
            AllowHostHeaderOverride = app.AllowHostHeaderOverride,
            AllowResponseHeaderCompression = app.AllowResponseHeaderCompression,
            AllowSynchronousIO = app.AllowSynchronousIO,
            DisableStringReuse = app.DisableStringReuse,
            RequestHeaderEncodingSelector = app.RequestHeaderEncodingSelector,
            ResponseHeaderEncodingSelector = app.ResponseHeaderEncodingSelector,
        };
        Copy(app.Limits, mesh.Limits);
        return mesh;
    }

    private static void Copy(KestrelServerLimits from, KestrelServerLimits to)
    {
        to.KeepAliveTimeout = from.KeepAliveTimeout;
        to.MaxConcurrentConnections = from.MaxConcurrentConnections;
        to.MaxConcurrentUpgradedConnections = from.MaxConcurrentUpgradedConnections;
        to.MaxRequestBodySize = from.MaxRequestBodySize;
        to.MaxRequestBufferSize = from.MaxRequestBufferSize;
        to.MaxRequestHeaderCount = from.MaxRequestHeaderCount;
        to.MaxRequestHeadersTotalSize = from.MaxRequestHeadersTotalSize;
        to.MaxRequestLineSize = from.MaxRequestLineSize;
        to.MaxResponseBufferSize = from.MaxResponseBufferSize;
        to.MinRequestBodyDataRate = from.MinRequestBodyDataRate;
        to.MinResponseDataRate = from.MinResponseDataRate;
        to.RequestHeadersTimeout = from.RequestHeadersTimeout;
        to.Http2.HeaderTableSize = from.Http2.HeaderTableSize;
        to.Http2.InitialConnectionWindowSize = from.Http2.InitialConnectionWindowSize;
        to.Http2.InitialStreamWindowSize = from.Http2.InitialStreamWindowSize;
        to.Http2.KeepAlivePingDelay = from.Http2.KeepAlivePingDelay;
        to.Http2.KeepAlivePingTimeout = from.Http2.KeepAlivePingTimeout;
        to.Http2.MaxFrameSize = from.Http2.MaxFrameSize;
        to.Http2.MaxRequestHeaderFieldSize = from.Http2.MaxRequestHeaderFieldSize;
        to.Http2.MaxStreamsPerConnection = from.Http2.MaxStreamsPerConnection;
    }
}
