using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;
using Grpc.Net.Client;
using Mesh.Transparent;
using Mesh.Transparent.Interception;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Mesh.Conformance.Tests.GatewayApi;

/// <summary>An app that knows nothing of the mesh, and its sidecar: a whole one, with its own stream to the control plane. What the kernel does, turning connections to it, is done here.</summary>
internal sealed class SidecarCaller : ICaller
{
    private readonly IHost _host;
    private readonly Redirection _redirection;
    private readonly Func<string, int, IPEndPoint> _dns;
    private readonly SocketsHttpHandler _handler;

    private SidecarCaller(IHost host, Redirection redirection, Func<string, int, IPEndPoint> dns)
    {
        (_host, _redirection, _dns) = (host, redirection, dns);
        _handler = new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false, UseProxy = false, ConnectCallback = ConnectAsync };
        Http = new HttpMessageInvoker(_handler);
    }

    public HttpMessageInvoker Http { get; }

    public bool SpeaksExactly => true;

    /// <param name="dns">What the app's look-up of a name gives.</param>
    public static async Task<ICaller> StartAsync(Dictionary<string, string?> settings, Func<string, int, IPEndPoint> dns)
    {
        var redirection = new Redirection();
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        builder.Configuration.AddInMemoryCollection(settings);
        builder.Services.AddLogging(logging => logging.ClearProviders());
        builder.Services.AddSingleton<IRedirection>(redirection);
        builder.Services.AddSidecar(new SidecarOptions
        {
            OutboundListen = [new IPEndPoint(IPAddress.Loopback, 0)],
            InboundListen = [new IPEndPoint(IPAddress.Loopback, 0)],
            AdminListen = [new IPEndPoint(IPAddress.Loopback, 0)],
            OpaquePorts = PortList.Empty,
        });
        var host = builder.Build();
        await host.StartAsync();
        return new SidecarCaller(host, redirection, dns);
    }

    public GrpcChannel Channel(Uri address) => GrpcChannel.ForAddress(address.GetLeftPart(UriPartial.Authority), new GrpcChannelOptions { HttpHandler = _handler });

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        using var now = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        await _host.StopAsync(now.Token);
        await ((IAsyncDisposable)_host).DisposeAsync();
    }

    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            _redirection.Turn(((IPEndPoint)socket.LocalEndPoint!).Port, _dns(context.DnsEndPoint.Host, context.DnsEndPoint.Port));
            await socket.ConnectAsync(_host.Services.GetRequiredService<SidecarHost>().Outbound.Endpoints[0], cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>By the port that a connection comes from.</summary>
    private sealed class Redirection : IRedirection
    {
        private readonly ConcurrentDictionary<int, IPEndPoint> _destinations = [];

        public void Turn(int port, IPEndPoint destination) => _destinations[port] = destination;

        public bool TryRead(Socket socket, [NotNullWhen(true)] out IPEndPoint? destination) => _destinations.TryGetValue(((IPEndPoint)socket.RemoteEndPoint!).Port, out destination);
    }
}
