using System.Collections.Immutable;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Mesh.Config;
using Mesh.Hosting;
using Mesh.Identity;
using Mesh.Spiffe;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Mesh.Server.Tests;

/// <summary>A real app on real Kestrel with UseMesh(), its identity and configuration given in code.</summary>
internal sealed class MeshApp : IAsyncDisposable
{
    private readonly WebApplication _app;

    private MeshApp(WebApplication app, InMemoryConfigSource config, FixedIdentitySource identity)
    {
        _app = app;
        Config = config;
        Identity = identity;
    }

    public InMemoryConfigSource Config { get; }

    public FixedIdentitySource Identity { get; }

    public IServiceProvider Services => _app.Services;

    public ICollection<string> Addresses => Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses;

    public int Port => new Uri(Addresses.First()).Port;

    public static async Task<MeshApp> StartAsync(
        TestCa ca, Action<IWebHostBuilder>? web = null, Action<WebApplication>? routes = null, Action<IServiceCollection>? services = null)
    {
        var builder = WebApplication.CreateBuilder();
        builder.Logging.ClearProviders();
        var config = new InMemoryConfigSource();
        var identity = new FixedIdentitySource(ca.Identity("shop", "cart"));
        builder.Services.AddSingleton(new MeshActivation(true));
        builder.Services.AddSingleton<IConfigSource>(config);
        builder.Services.AddSingleton<IWorkloadIdentitySource>(identity);
        builder.Services.Configure<MeshOptions>(o => (o.Namespace, o.ServiceAccount) = ("shop", "cart"));
        services?.Invoke(builder.Services);
        if (web is null)
        {
            builder.WebHost.UseUrls("http://127.0.0.1:0");
        }

        web?.Invoke(builder.WebHost);
        builder.WebHost.UseMesh();
        var app = builder.Build();
        app.MapGet("/", (HttpContext c) =>
            $"{c.Request.Protocol} {c.Request.Scheme} {c.Features.Get<MeshPeerFeature>()?.Id.ToString() ?? "nobody"} {c.User.FindFirst("spiffe_id")?.Value ?? "none"} tls={c.Features.Get<ITlsConnectionFeature>() is not null}");
        app.MapGet("/healthz", () => "alive");
        app.MapGet("/boom", IResult () => throw new InvalidOperationException("boom"));
        routes?.Invoke(app);
        await app.StartAsync();
        return new MeshApp(app, config, identity);
    }

    /// <summary>A configuration with the inbound listener of this address.</summary>
    public static MeshSnapshot Inbound(string address, bool plaintext = true)
    {
        var name = "meshlib/inbound?address=" + address;
        List<FilterChain> chains = [new("mesh-tls", TransportProtocol.Tls, MeshTls: true, RequireClientCertificate: true)];
        if (plaintext)
        {
            chains.Add(new("plaintext", TransportProtocol.Any, MeshTls: false, RequireClientCertificate: false));
        }

        return MeshSnapshot.Empty with
        {
            Listeners = ImmutableDictionary<string, ListenerResult>.Empty.Add(name, new ListenerResult.Found(new Listener(name) { FilterChains = chains }, null)),
        };
    }

    public long Requests(string source, string outcome = MeshTags.Success) => Services.GetRequiredService<MetricAggregate>().Series
        .Where(s => s.Tags.Contains(new(MeshTags.Source, source)) && s.Tags.Contains(new(MeshTags.Outcome, outcome)))
        .Sum(s => s.Durations.Collect()?.Counts.Sum() ?? 0);

    public Task StopAsync(CancellationToken cancellationToken) => _app.StopAsync(cancellationToken);

    public async ValueTask DisposeAsync()
    {
        using var now = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        await _app.StopAsync(now.Token);
        await _app.DisposeAsync();
    }

    /// <summary>A client as the mesh makes them: http URIs over mesh TLS.</summary>
    public static HttpClient MeshClient(WorkloadIdentity identity, SpiffeId expected, Version version, bool marker = true, Func<Socket, Stream>? wrap = null, EndPoint? dial = null) => new(new SocketsHttpHandler
    {
        ConnectCallback = async (context, cancellationToken) =>
        {
            var socket = new Socket(dial?.AddressFamily ?? AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(dial ?? IPEndPoint.Parse($"{context.DnsEndPoint.Host}:{context.DnsEndPoint.Port}"), cancellationToken);
            var tls = new SslStream(wrap?.Invoke(socket) ?? new NetworkStream(socket, ownsSocket: true));
            var options = MeshTls.ForClient(identity, expected, version.Major == 2, _ => { });
            if (!marker)
            {
                options.ApplicationProtocols = [version.Major == 2 ? SslApplicationProtocol.Http2 : SslApplicationProtocol.Http11];
            }

            await tls.AuthenticateAsClientAsync(options, cancellationToken);
            return tls;
        },
    })
    {
        DefaultRequestVersion = version,
        DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
        Timeout = TimeSpan.FromSeconds(15),
    };
}
