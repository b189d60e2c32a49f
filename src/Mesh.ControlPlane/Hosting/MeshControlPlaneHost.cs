using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using Mesh.ControlPlane.Api;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.CertificateAuthority.Attestation;
using Mesh.ControlPlane.Cluster;
using Mesh.ControlPlane.Injector;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources;
using Mesh.ControlPlane.Sources.Kubernetes;
using Mesh.ControlPlane.Telemetry;
using Mesh.ControlPlane.Xds;
using Mesh.Hosting;
using Mesh.Spiffe;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
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

    private bool HasWebhooks => options.Webhooks is not null || parts.Injector is not null;

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

        try
        {
            if (options.Kubernetes)
            {
                _kube = KubeAccess.Open(options, time);
                _cluster = await ClusterParts.StartAsync(ClusterSettings.Of(options, _kube), options, time, loggers, cancellationToken);
            }

            _injection = _cluster is not null && options.Webhooks is not null && parts.Injector is null ? new ClusterInjection(_cluster.Settings, options, time, loggers) : null;
            _app = Build();
        }
        catch (Exception e) when (e is InvalidDataException or IOException or UnauthorizedAccessException or KubeApiException)
        {
            throw new MeshConfigurationException([e.Message]);
        }

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
        catch (IOException e) when (PortTaken(e) is { } taken)
        {
            throw new IOException(taken, e);
        }

        var bound = _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Select(a => new Uri(a)).ToList();
        // In the order in which they were bound.
        var next = 0;
        var ads = options.HasPlaintextAds ? bound[next++].Authority : string.Empty;
        var (grpc, http) = (bound[next++].Authority, bound[next++].Authority);
        var addresses = new ControlPlaneAddresses(
            ads, grpc, $"http://{http}", _data!.File(TrustBundleStore.FileName), _app.Services.GetRequiredService<AdminToken>().Value);
        Webhooks = bound.ElementAtOrDefault(next)?.Authority;
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

    private WebApplication Build()
    {
        var trustDomain = TrustDomain.Parse(options.TrustDomain);
        var data = _data = new DataFolder(options.DataFolder);
        var given = _cluster is null ? AuthorityLoader.Files(options, time) : _cluster.Given;
        var (authority, trust, leafPolicy) = _cluster?.Authority.Live ?? OwnAuthority(data, given);
        var store = new ModelStore();
        var marks = _marks = _cluster?.Marks(store) ?? new MeshMarks(data, new AbsentMarks(store, trustDomain, time), time, loggers.CreateLogger<MeshMarks>());
        var source = _source = parts.Source(new ModelSourceContext(options, marks, store, time, loggers, _kube));
        marks.Subscribe(source.Refresh);

        // Empty: an embedding process' Kestrel:Endpoints, ASPNETCORE_URLS and logging are not ours to take.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = typeof(MeshControlPlaneHost).Assembly.GetName().Name });
        var services = builder.Services;
        services.AddSingleton(loggers);
        services.AddSingleton<IHostLifetime, OuterLifetime>();
        services.AddSingleton(time);
        services.AddSingleton(options);
        services.AddSingleton(data);
        services.AddSingleton(store);
        services.AddSingleton(source);
        if (_kube is not null)
        {
            services.AddSingleton(_kube);
        }

        services.AddSingleton<IMeshMarkStore>(marks);
        services.AddSingleton(_stopping);
        services.AddSingleton(trust);
        services.AddSingleton(authority);
        services.AddSingleton(new GivenFiles(given));
        services.AddSingleton<Issuer>();
        services.AddSingleton(p => AttestorFactory.Create(options, p.GetService<JoinTokens>(), time, loggers, _cluster?.TokenReviews));
        services.AddSingleton(leafPolicy);
        services.AddSingleton(_cluster?.AdminToken ?? new AdminToken(data));
        if (_cluster is null)
        {
            services.AddSingleton(new JoinTokens(data, trustDomain, time));
            services.AddSingleton<IReplicas>(OnlyReplica.Instance);
            services.AddSingleton<IAuthorityChanges>(new OwnState(new AuthorityState(authority, trust, leafPolicy)));
        }
        else
        {
            _cluster.AddTo(services, store);
            KeepBundle(data, trust);
        }

        services.AddSingleton(new OutgoingCheck(parts.Decode));
        services.AddSingleton(parts.Translator(options));
        services.AddSingleton(p => new ServingCertificate(p.GetRequiredService<Issuer>(), options.Address, time));
        services.AddSingleton<ControlPlaneTls>();
        services.AddSingleton<IssuanceLog>();
        services.AddSingleton<IssuanceRate>();
        services.AddSingleton<ResourceAnswers>();
        services.AddSingleton<ClientRegistry>();
        services.AddSingleton<ITrustHolders>(p => p.GetRequiredService<ClientRegistry>());
        services.AddSingleton<AuthorityKeeper>();
        services.AddSingleton<CertificateChecks>();
        services.AddHostedService(p => p.GetRequiredService<AuthorityKeeper>());
        services.AddSingleton<AdsParts>();
        services.AddSingleton<GoldenStore>();
        services.AddSingleton<MetricsReader>();
        services.AddSingleton<MetricsIntake>();
        services.AddSingleton(new Uptime(time));
        services.AddRoutingCore();
        if (HasWebhooks)
        {
            if (parts.Injector is { } injector)
            {
                services.AddSingleton(injector);
            }
            else
            {
                var injection = _injection!;
                services.AddSingleton(p => injection.Parts(p.GetRequiredService<WebhookCertificate>()));
            }

            services.AddSingleton<PodAdmission>();
        }

        services.AddGrpc();
        services.Configure<RouteHandlerOptions>(o => o.ThrowOnBadRequest = true);
        services.ConfigureHttpJsonOptions(o => ApiJson.Configure(o.SerializerOptions));
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(Listen);

        var app = builder.Build();
        app.Use(MeetPeerAsync);
        app.UseWhen(c => c.Features.Get<PortFeature>()?.Kind == PortKind.Http, http => http.Use(ApiErrors.HandleAsync));
        app.UseRouting();
        app.Use(KeepToPortAsync);
        app.MapGrpcService<AdsService>().WithMetadata(new PortFeature(PortKind.Ads | PortKind.Grpc));
        app.MapGrpcService<CsrService>().WithMetadata(new PortFeature(PortKind.Grpc));
        app.MapGrpcService<OtlpMetricsService>().WithMetadata(new PortFeature(PortKind.Grpc));
        app.MapGroup(string.Empty).WithMetadata(new PortFeature(PortKind.Http)).MapControlPlaneApi();
        if (HasWebhooks)
        {
            app.MapGroup(string.Empty).WithMetadata(new PortFeature(PortKind.Webhook)).MapAdmission();
        }

        return app;
    }

    private AuthorityState OwnAuthority(DataFolder data, IssuerFiles? given)
    {
        var trustDomain = TrustDomain.Parse(options.TrustDomain);
        var maker = new CertificateMaker(trustDomain, options.CaKey, time, new SecureRandom());
        var trust = new TrustBundleStore(data, trustDomain, time);
        var state = new AuthorityLoader(data, options, maker, time, loggers.CreateLogger<AuthorityLoader>()).Load(given, out var anchors);
        return new AuthorityState(new MeshAuthority(state, anchors, data, trust, maker, time, loggers.CreateLogger<MeshAuthority>()), trust, new LeafPolicyStore(data, time, options.LeafLife));
    }

    /// <summary>What the ready line names as the trust bundle, kept as shared state has it.</summary>
    private void KeepBundle(DataFolder data, TrustBundleStore trust)
    {
        Write();
        trust.Subscribe(Write);

        void Write()
        {
            try
            {
                data.Write(TrustBundleStore.FileName, trust.Current.Pem, secret: false);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                Log.BundleNotWritten(_logger, data.File(TrustBundleStore.FileName), e.Message);
            }
        }
    }

    private void Listen(KestrelServerOptions kestrel)
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
        if (HasWebhooks)
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

    private static Task MeetPeerAsync(HttpContext context, RequestDelegate next)
    {
        if (context.Features.Get<PortFeature>()?.Kind == PortKind.Grpc)
        {
            context.Features.Set(context.RequestServices.GetRequiredService<ControlPlaneTls>().Peer(context.Connection.ClientCertificate));
        }

        return next(context);
    }

    /// <summary>Each port answers only what is meant for it.</summary>
    private static Task KeepToPortAsync(HttpContext context, RequestDelegate next)
    {
        var here = context.Features.Get<PortFeature>()?.Kind ?? PortKind.None;
        if (context.GetEndpoint()?.Metadata.GetMetadata<PortFeature>() is { } meant && (meant.Kind & here) == 0)
        {
            context.SetEndpoint(null);
        }

        return next(context);
    }

    private string? PortTaken(IOException error)
    {
        for (Exception? e = error; e is not null; e = e.InnerException)
        {
            if (e is System.Net.Sockets.SocketException { SocketErrorCode: System.Net.Sockets.SocketError.AddressAlreadyInUse } or Microsoft.AspNetCore.Connections.AddressInUseException)
            {
                var (flag, port) = options.Ports.FirstOrDefault(p => error.Message.Contains($":{p.Port}:", StringComparison.Ordinal) || error.Message.Contains($":{p.Port} ", StringComparison.Ordinal));
                return flag is null ? null : $"Port {port} is taken by another process. Stop it, or give another port with {flag} N (0 is any free one), or move all with --port-base N.";
            }
        }

        return null;
    }

    /// <summary>Signals end the outer process, which then stops this host.</summary>
    private sealed class OuterLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }

    private static partial class Log
    {
        [LoggerMessage(4911, LogLevel.Warning, "The roots in force could not be written to '{File}': {Problem}", EventName = nameof(BundleNotWritten))]
        public static partial void BundleNotWritten(ILogger logger, string file, string problem);

        [LoggerMessage(4910, LogLevel.Information, "The control plane serves ADS on {Ads}, TLS gRPC on {Grpc}, HTTP on {Http}, from '{Folder}'", EventName = nameof(Started))]
        public static partial void Started(ILogger logger, string ads, string grpc, string http, string folder);
    }
}
