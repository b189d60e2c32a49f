using System.Net;
using Mesh.ControlPlane.Api;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Cluster;
using Mesh.ControlPlane.Insight;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources;
using Mesh.ControlPlane.Sources.Kubernetes;
using Mesh.ControlPlane.Xds;
using Mesh.Hosting;
using Mesh.Spiffe;
using Microsoft.AspNetCore.Hosting.Server;
using Org.BouncyCastle.Security;

namespace Mesh.ControlPlane.Hosting;

/// <summary>One control plane: builds it, starts it in order, stops it.</summary>
/// <remarks>Order of start: data folder, authority, marks; then the source, which uses the marks; then the ports. So nothing is served before what it rests on is known.</remarks>
internal sealed partial class MeshControlPlaneHost(MeshControlPlaneOptions options, ControlPlaneParts parts, TimeProvider time, ILoggerFactory loggers) : IAsyncDisposable
{
    private static readonly TimeSpan DrainTimeout = TimeSpan.FromSeconds(5);
    private readonly ILogger _logger = loggers.CreateLogger<MeshControlPlaneHost>();
    private readonly Stopping _stopping = new();
    private DataFolder? _data;
    private IMeshMarkStore? _marks;
    private ClusterParts? _cluster;
    private ClusterInjection? _injection;
    private KubeApi? _kube;
    private IModelSource? _source;
    private WebApplication? _app;

    /// <summary>Where the API server's webhooks are answered, host and port; null when they are not.</summary>
    public string? Webhooks { get; private set; }

    /// <summary>The inner host's services, for tests and the embedding process; null before the start.</summary>
    public IServiceProvider? Services => _app?.Services;

    /// <summary>Returns when every port is bound and the first model is in force.</summary>
    /// <exception cref="MeshConfigurationException">The options, the root or the data folder can't be used.</exception>
    /// <exception cref="IOException">A port is taken; the message names it and its flag.</exception>
    public async Task<ControlPlaneAddresses> StartAsync(CancellationToken cancellationToken)
    {
        if (options.Validate() is { Count: > 0 } problems)
        {
            throw new MeshConfigurationException(problems);
        }

        ControlPlanePorts ports;
        try
        {
            if (options.Kubernetes)
            {
                _kube = KubeAccess.Open(options, time);
                _cluster = await ClusterParts.StartAsync(ClusterSettings.Of(options, _kube), options, time, loggers, cancellationToken);
            }

            _injection = _cluster is not null && options.Webhooks is not null && parts.Injector is null ? new ClusterInjection(_cluster.Settings, options, time, loggers) : null;
            var foundation = Lay();
            ports = new ControlPlanePorts(options, foundation.HasWebhooks);
            _app = InnerHost.Build(foundation, ports, _stopping, time, loggers);
        }
        catch (Exception e) when (e is InvalidDataException or IOException or UnauthorizedAccessException or KubeApiException)
        {
            throw new MeshConfigurationException([e.Message]);
        }

        // What was asked for before a restart is in the first model.
        _ = _app.Services.GetRequiredService<ITemporaryFaults>();
        await _source!.StartAsync(cancellationToken);
        if (_cluster is not null)
        {
            await _cluster.BeginAsync(_app.Services, cancellationToken);
        }

        if (_injection is not null)
        {
            await _injection.Ready.WaitAsync(cancellationToken);
        }

        try
        {
            await _app.StartAsync(cancellationToken);
        }
        catch (IOException e) when (ports.Taken(e) is { } taken)
        {
            throw new IOException(taken, e);
        }

        var bound = ports.Bound(_app.Services.GetRequiredService<IServer>());
        var addresses = new ControlPlaneAddresses(
            bound.Ads, bound.Grpc, $"http://{bound.Http}", _data!.File(TrustBundleStore.FileName), _app.Services.GetRequiredService<AdminToken>().Value)
        {
            ViewToken = _app.Services.GetRequiredService<ApiTokens>().View,
        };
        Webhooks = bound.Webhooks;
        _cluster?.ServesAt(IPEndPoint.Parse(bound.Grpc));
        Log.Started(_logger, addresses.Ads, addresses.Grpc, addresses.Http, _kube?.Server.ToString() ?? options.ConfigFolder);
        return addresses;
    }

    /// <summary>Gives the lead away, tells the streams, lets calls finish for at most 5 s, then stops.</summary>
    public async Task StopAsync()
    {
        if (_cluster is not null)
        {
            await _cluster.StepDownAsync();
        }

        _stopping.Begin();
        if (_app is { } app)
        {
            using var limit = new CancellationTokenSource(DrainTimeout, time);
            // Streams end by their own status; stopping the server at once would cut the connections under them.
            var clients = app.Services.GetRequiredService<ClientRegistry>();
            while (clients.HasStreams && !limit.IsCancellationRequested)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(10), time, CancellationToken.None);
            }

            await app.StopAsync(limit.Token);
        }

        if (_cluster is not null)
        {
            await _cluster.EndAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_source is not null)
        {
            await _source.DisposeAsync();
        }

        if (_app is not null)
        {
            await _app.DisposeAsync();
        }

        if (_marks is not null)
        {
            await _marks.DisposeAsync();
        }

        if (_injection is not null)
        {
            await _injection.DisposeAsync();
        }

        if (_cluster is not null)
        {
            await _cluster.DisposeAsync();
        }

        _kube?.Dispose();
        _data?.Dispose();
        _stopping.Dispose();
    }

    /// <summary>Makes what all else rests on, in order; what is made is ended by this host, also when a later step fails.</summary>
    private Foundation Lay()
    {
        var data = _data = new DataFolder(options.DataFolder);
        var given = _cluster is null ? AuthorityLoader.Files(options, time) : _cluster.Given;
        var authority = _cluster?.Authority.Live ?? OwnAuthority(data, given);
        var store = new ModelStore();
        var overlay = new ManifestOverlay();
        var marks = _marks = _cluster?.Marks(store) ?? new MeshMarks(data, new AbsentMarks(store, TrustDomain.Parse(options.TrustDomain), time), time, loggers.CreateLogger<MeshMarks>());
        var source = _source = parts.Source(new ModelSourceContext(options, marks, store, time, loggers, _kube, overlay));
        marks.Subscribe(source.Refresh);
        return new Foundation(options, parts, data, given, authority, store, overlay, marks, source, _kube, _cluster, _injection);
    }

    private AuthorityState OwnAuthority(DataFolder data, IssuerFiles? given)
    {
        var trustDomain = TrustDomain.Parse(options.TrustDomain);
        var maker = new CertificateMaker(trustDomain, options.CaKey, time, new SecureRandom());
        var trust = new TrustBundleStore(data, trustDomain, time);
        var state = new AuthorityLoader(data, options, maker, time, loggers.CreateLogger<AuthorityLoader>()).Load(given, out var anchors);
        return new AuthorityState(new MeshAuthority(state, anchors, data, trust, maker, time, loggers.CreateLogger<MeshAuthority>()), trust, new LeafPolicyStore(data, time, options.LeafLife));
    }

    private static partial class Log
    {
        [LoggerMessage(4910, LogLevel.Information, "The control plane serves ADS on {Ads}, TLS gRPC on {Grpc}, HTTP on {Http}, from '{Folder}'", EventName = nameof(Started))]
        public static partial void Started(ILogger logger, string ads, string grpc, string http, string folder);
    }
}
