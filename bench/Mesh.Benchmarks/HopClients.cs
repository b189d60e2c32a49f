using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Mesh.Config;
using Mesh.Identity;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Mesh.Benchmarks;

/// <summary>The calling side: an HttpClient of IHttpClientFactory over HTTP/2 and mutual TLS, with and without AddMesh().</summary>
internal sealed class HopClients(HttpClient client, IHost? host) : IDisposable, IAsyncDisposable
{
    public HttpClient Client => client;

    public static HopClients Plain(int port, Certificates certificates)
    {
        var services = new ServiceCollection();
        services.AddHttpClient("bench", c => Configure(c, new Uri($"https://localhost:{port}")))
            .ConfigurePrimaryHttpMessageHandler(() => new SocketsHttpHandler
            {
                EnableMultipleHttp2Connections = true,
                ConnectCallback = async (context, cancellation) =>
                {
                    var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                    await socket.ConnectAsync(IPAddress.Loopback, context.DnsEndPoint.Port, cancellation);
                    var tls = new SslStream(new NetworkStream(socket, ownsSocket: true));
                    await tls.AuthenticateAsClientAsync(MeshTls.ForClient(certificates.Client, certificates.Server.Svid.Id, http2: true, Console.Error.WriteLine), cancellation);
                    return tls;
                },
            });
        return new HopClients(services.BuildServiceProvider().GetRequiredService<IHttpClientFactory>().CreateClient("bench"), null);
    }

    /// <summary>Null without Mesh.</summary>
    public IServiceProvider? Services => host?.Services;

    /// <param name="metrics">Whether calls are counted.</param>
    /// <param name="more">What takes the place of something of the mesh's own.</param>
    public static async Task<HopClients> MeshAsync(int port, Certificates certificates, bool metrics = true, Action<IServiceCollection>? more = null)
    {
        var source = new InMemoryConfigSource();
        source.Set(HopSnapshot.OneEndpoint("bench.bench.svc.cluster.local:80", "bench", port, certificates.Server.Svid.Id));
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        more?.Invoke(builder.Services);
        builder.Services.AddBenchMesh(source, certificates.Client, "client", metrics);
        builder.Services.AddMesh();
        builder.Services.AddHttpClient("bench", c => Configure(c, new Uri("http://bench")));
        var host = builder.Build();
        await host.StartAsync();
        return new HopClients(host.Services.GetRequiredService<IHttpClientFactory>().CreateClient("bench"), host);
    }

    private static void Configure(HttpClient client, Uri address)
    {
        client.BaseAddress = address;
        client.DefaultRequestVersion = HttpVersion.Version20;
        client.DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact;
    }

    public void Dispose() => client.Dispose();

    public async ValueTask DisposeAsync()
    {
        client.Dispose();
        if (host is not null)
        {
            await host.StopAsync();
            host.Dispose();
        }
    }
}
