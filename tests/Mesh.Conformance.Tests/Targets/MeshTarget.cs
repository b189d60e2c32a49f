using System.Collections.Immutable;
using System.Net;
using System.Net.Security;
using Mesh.Config;
using Mesh.Hosting;
using Mesh.Identity;
using Mesh.Spiffe;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Mesh.Conformance.Tests.Targets;

/// <summary>An app with UseMesh(), and a client with a certificate of the mesh.</summary>
internal sealed class MeshTarget(WebApplication host, RecordingApp app, TestCa ca, bool http2) : ITarget
{
    private static readonly SpiffeId _server = SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/cart");

    private readonly WorkloadIdentity _client = ca.Identity("shop", "web");

    public RecordingApp App => app;

    public EndPoint Address { get; } = KestrelTarget.AddressOf(host);

    public bool LimitsBodies => true;

    public static async Task<ITarget> StartAsync(HttpProtocols protocols)
    {
        var ca = new TestCa("cluster.local");
        var app = new RecordingApp();
        var config = new InMemoryConfigSource();
        var host = await app.StartAsync(
            kestrel =>
            {
                KestrelTarget.Limit(kestrel);
                kestrel.Listen(IPAddress.Loopback, 0, l => l.Protocols = protocols);
            },
            builder =>
            {
                builder.Services.AddSingleton(new MeshActivation(true));
                builder.Services.AddSingleton<IConfigSource>(config);
                builder.Services.AddSingleton<IWorkloadIdentitySource>(new FixedIdentitySource(ca.Identity("shop", "cart")));
                builder.Services.Configure<MeshOptions>(o => (o.Namespace, o.ServiceAccount) = ("shop", "cart"));
                builder.WebHost.UseMesh();
            });
        var target = new MeshTarget(host, app, ca, protocols == HttpProtocols.Http2);
        var name = $"meshlib/inbound?address={target.Address}";
        config.Set(MeshSnapshot.Empty with
        {
            Listeners = ImmutableDictionary<string, ListenerResult>.Empty.Add(name, new ListenerResult.Found(new Listener(name)
            {
                FilterChains = [new("mesh-tls", TransportProtocol.Tls, MeshTls: true, RequireClientCertificate: true)],
            }, null)),
        });
        return target;
    }

    public async Task<Stream> ConnectAsync()
    {
        var tls = new SslStream(await Tcp.ConnectAsync(Address));
        try
        {
            await tls.AuthenticateAsClientAsync(MeshTls.ForClient(_client, _server, http2, _ => { }), TestContext.Current.CancellationToken);
            return tls;
        }
        catch
        {
            await tls.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await host.DisposeAsync();
        ca.Dispose();
    }
}
