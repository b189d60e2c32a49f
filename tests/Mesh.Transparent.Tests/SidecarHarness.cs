using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;
using Mesh.Config;
using Mesh.Hosting;
using Mesh.Identity;
using Mesh.Spiffe;
using Mesh.Telemetry;
using Mesh.Testing;
using Mesh.Transparent.Interception;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;

namespace Mesh.Transparent.Tests;

/// <summary>A whole sidecar in this process, with configuration, identity and redirection given in code.</summary>
internal sealed class SidecarHarness : IAsyncDisposable
{
    private readonly IHost _host;

    private SidecarHarness(IHost host, InMemoryConfigSource config, SwitchedIdentity identity, FixedRedirection redirection) =>
        (_host, Config, Identity, Redirection) = (host, config, identity, redirection);

    public InMemoryConfigSource Config { get; }

    public SwitchedIdentity Identity { get; }

    public FixedRedirection Redirection { get; }

    public SidecarHost Sidecar => _host.Services.GetRequiredService<SidecarHost>();

    public IServiceProvider Services => _host.Services;

    public FakeLogCollector Logs => _host.Services.GetFakeLogCollector();

    public MetricAggregate Metrics => _host.Services.GetRequiredService<MetricAggregate>();

    /// <summary>Where the app's connections are turned to.</summary>
    public IPEndPoint Outbound => Sidecar.Outbound.Endpoints[0];

    /// <summary>Where connections to the app are turned to.</summary>
    public IPEndPoint Inbound => Sidecar.Inbound.Endpoints[0];

    public IPEndPoint Admin => _host.Services.GetRequiredService<Transparent.Admin.AdminServer>().EndPoints[0];

    /// <param name="destination">Where every connection that is accepted was going.</param>
    public static async Task<SidecarHarness> StartAsync(
        TestCa ca, string account, IPEndPoint? destination, Func<SidecarOptions, SidecarOptions>? options = null, bool hasIdentity = true, Action<IServiceCollection>? services = null)
    {
        var config = new InMemoryConfigSource();
        var identity = new SwitchedIdentity(hasIdentity ? ca.Identity("shop", account) : null);
        var redirection = new FixedRedirection { Destination = destination };
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        builder.Services.AddLogging(logging => logging.AddFakeLogging().SetMinimumLevel(LogLevel.Debug));
        builder.Services.AddSingleton(new MeshActivation(true));
        builder.Services.AddSingleton<IConfigSource>(config);
        builder.Services.AddSingleton<IWorkloadIdentitySource>(identity);
        builder.Services.AddSingleton<IRedirection>(redirection);
        builder.Services.Configure<MeshOptions>(o => (o.Namespace, o.ServiceAccount) = ("shop", account));
        var given = new SidecarOptions
        {
            OutboundListen = [new IPEndPoint(IPAddress.Loopback, 0)],
            InboundListen = [new IPEndPoint(IPAddress.Loopback, 0)],
            AdminListen = [new IPEndPoint(IPAddress.Loopback, 0)],
            OpaquePorts = PortList.Empty,
        };
        builder.Services.AddSidecar(options?.Invoke(given) ?? given);
        services?.Invoke(builder.Services);
        var host = builder.Build();
        await host.StartAsync();
        return new SidecarHarness(host, config, identity, redirection);
    }

    /// <summary>A configuration in which the dialled address is a service with these endpoints, for HTTP and for bytes.</summary>
    public static MeshSnapshot Service(IPEndPoint dialled, IReadOnlyList<Endpoint> endpoints, bool http = true, bool tcp = true)
    {
        const string Canonical = "cart.shop.svc.cluster.local:80";
        const string Cluster = "outbound|80||cart.shop.svc.cluster.local";
        var listener = new Listener(dialled.ToString())
        {
            Api = http ? new HttpConnectionManager(Canonical, null, null) : null,
            Tcp = tcp ? [new TcpChain(Canonical, [], [new WeightedCluster(Cluster, 1)])] : [],
        };
        var routes = new RouteConfiguration(Canonical, [new VirtualHost("cart", ["*"], [new Route("all", new RouteMatch(null, [], null), new RouteAction.Forward([new(Cluster, 1)]))])]);
        return new MeshSnapshot
        {
            Listeners = ImmutableDictionary<string, ListenerResult>.Empty.Add(dialled.ToString(), new ListenerResult.Found(listener, http ? routes : null)),
            Clusters = ImmutableDictionary<string, ClusterResult>.Empty.Add(Cluster, new ClusterResult.Found(
                new Cluster(Cluster, Cluster, TimeSpan.FromSeconds(2)), new LoadAssignment(Cluster, [new(new("", "", ""), 0, 1, endpoints)]))),
        };
    }

    /// <summary>An endpoint that is a sidecar's inbound port.</summary>
    public static Endpoint Meshed(IPEndPoint address, TestCa ca, string account, bool isSidecar = true) => new(address.Address.ToString(), address.Port, 1, true)
    {
        Tls = EndpointTls.Mesh,
        SpiffeId = SpiffeId.ForServiceAccount(ca.TrustDomain, "shop", account),
        SpeaksHttp2 = true,
        SpeaksTcp = isSidecar,
    };

    public long Count(string metric, params (string Key, string Value)[] tags) => Metrics.Series
        .Where(s => s.Name == metric && tags.All(t => s.Tags.Contains(new(t.Key, t.Value))))
        .Sum(s => s.Durations.Collect()?.Counts.Sum() ?? 0);

    public Task StopAsync(CancellationToken cancellationToken) => _host.StopAsync(cancellationToken);

    public async ValueTask DisposeAsync()
    {
        using var now = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        await _host.StopAsync(now.Token);
        await ((IAsyncDisposable)_host).DisposeAsync();
    }

    internal sealed class FixedRedirection : IRedirection
    {
        public IPEndPoint? Destination { get; set; }

        public bool TryRead(Socket socket, [NotNullWhen(true)] out IPEndPoint? destination)
        {
            destination = Destination;
            return destination is not null;
        }
    }

    /// <summary>An identity that may come later.</summary>
    internal sealed class SwitchedIdentity(WorkloadIdentity? first) : IWorkloadIdentitySource
    {
        private readonly TaskCompletionSource<WorkloadIdentity> _first = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public WorkloadIdentity? Current { get; private set; } = first;

        public string? Problem => Current is null ? "the test has given none" : null;

        public void Set(WorkloadIdentity identity)
        {
            Current = identity;
            _first.TrySetResult(identity);
        }

        public ValueTask<WorkloadIdentity> GetAsync(CancellationToken cancellationToken) => Current is { } current ? new(current) : new(_first.Task.WaitAsync(cancellationToken));
    }
}
