using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Mesh.ControlPlane.Injector;
using Mesh.ControlPlane.Model;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace Mesh.ControlPlane.Hosting;

/// <summary>Where each port is bound, as host and port.</summary>
/// <param name="Ads">Empty: there is none.</param>
/// <param name="Webhooks">Null: there is none.</param>
internal sealed record BoundPorts(string Ads, string Grpc, string Http, string? Webhooks);

/// <summary>The ports of a control plane: how each is listened at, and that each answers only what is meant for it.</summary>
internal sealed class ControlPlanePorts(MeshControlPlaneOptions options, bool webhooks)
{
    public void Listen(KestrelServerOptions kestrel)
    {
        kestrel.AddServerHeader = false;
        // Finds dead clients; a stream without changes is silent for days.
        kestrel.Limits.Http2.KeepAlivePingDelay = TimeSpan.FromSeconds(30);
        kestrel.Limits.Http2.KeepAlivePingTimeout = TimeSpan.FromSeconds(20);
        if (options.HasPlaintextAds)
        {
            kestrel.Listen(IPAddress.Loopback, options.AdsPort, listen => Use(listen, PortKind.Ads, HttpProtocols.Http2));
        }

        kestrel.Listen(options.Address, options.GrpcPort, listen =>
        {
            Use(listen, PortKind.Grpc, HttpProtocols.Http2);
            var tls = listen.ApplicationServices.GetRequiredService<ControlPlaneTls>();
            listen.UseHttps(new TlsHandshakeCallbackOptions { OnConnection = _ => ValueTask.FromResult(tls.Options()) });
        });
        kestrel.Listen(options.Address, options.HttpPort, listen => Use(listen, PortKind.Http, HttpProtocols.Http1));
        if (webhooks)
        {
            kestrel.Listen(options.Address, options.Webhooks ?? 0, listen =>
            {
                Use(listen, PortKind.Webhook, HttpProtocols.Http1AndHttp2);
                var certificate = listen.ApplicationServices.GetRequiredService<InjectorParts>().Certificate;
                listen.UseHttps(new TlsHandshakeCallbackOptions
                {
                    OnConnection = _ => ValueTask.FromResult(new SslServerAuthenticationOptions
                    {
                        ServerCertificateContext = certificate.Current,
                        ApplicationProtocols = [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11],
                        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
                    }),
                });
            });
        }
    }

    /// <summary>Of a server that has started.</summary>
    public BoundPorts Bound(IServer server)
    {
        var bound = server.Features.Get<IServerAddressesFeature>()!.Addresses.Select(a => new Uri(a).Authority).ToList();
        // In the order in which they were bound.
        var next = 0;
        var ads = options.HasPlaintextAds ? bound[next++] : string.Empty;
        return new BoundPorts(ads, bound[next++], bound[next++], bound.ElementAtOrDefault(next));
    }

    /// <summary>What to say of a port that another process has; null: it failed for another reason.</summary>
    public string? Taken(IOException error)
    {
        for (Exception? e = error; e is not null; e = e.InnerException)
        {
            if (e is SocketException { SocketErrorCode: SocketError.AddressAlreadyInUse } or AddressInUseException)
            {
                var (flag, port) = options.Ports.FirstOrDefault(p => error.Message.Contains($":{p.Port}:", StringComparison.Ordinal) || error.Message.Contains($":{p.Port} ", StringComparison.Ordinal));
                return flag is null ? null : $"Port {port} is taken by another process. Stop it, or give another port with {flag} N (0 is any free one), or move all with --port-base N.";
            }
        }

        return null;
    }

    public static bool IsHttp(HttpContext context) => context.Features.Get<PortFeature>()?.Kind == PortKind.Http;

    /// <summary>Middleware: who called by the TLS port.</summary>
    public static Task MeetPeerAsync(HttpContext context, RequestDelegate next)
    {
        if (context.Features.Get<PortFeature>()?.Kind == PortKind.Grpc)
        {
            context.Features.Set(context.RequestServices.GetRequiredService<ControlPlaneTls>().Peer(context.Connection.ClientCertificate));
        }

        return next(context);
    }

    /// <summary>Middleware after routing: each port answers only what is meant for it.</summary>
    public static Task KeepToPortAsync(HttpContext context, RequestDelegate next)
    {
        var here = context.Features.Get<PortFeature>()?.Kind ?? PortKind.None;
        if (context.GetEndpoint()?.Metadata.GetMetadata<PortFeature>() is { } meant && (meant.Kind & here) == 0)
        {
            context.SetEndpoint(null);
        }

        return next(context);
    }

    private static void Use(ListenOptions listen, PortKind kind, HttpProtocols protocols)
    {
        listen.Protocols = protocols;
        var feature = new PortFeature(kind);
        listen.Use(next => connection =>
        {
            connection.Features.Set(feature);
            return next(connection);
        });
    }
}
