using System.Net;
using Mesh.ControlPlane.Api;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.CertificateAuthority.Attestation;
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
    private MeshMarks? _marks;
    private KubeApi? _kube;
    private IModelSource? _source;
    private WebApplication? _app;

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
            _app = Build();
        }
        catch (Exception e) when (e is InvalidDataException or IOException or UnauthorizedAccessException)
        {
            throw new MeshConfigurationException([e.Message]);
        }

        await _source!.StartAsync(cancellationToken);
        try
        {
            await _app.StartAsync(cancellationToken);
        }
        catch (IOException e) when (PortTaken(e) is { } taken)
        {
            throw new IOException(taken, e);
        }

        var bound = _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Select(a => new Uri(a)).ToList();
        var ads = options.HasPlaintextAds ? bound[0].Authority : string.Empty;
        var addresses = new ControlPlaneAddresses(
            ads, bound[^2].Authority, $"http://{bound[^1].Authority}", _data!.File(TrustBundleStore.FileName), _app.Services.GetRequiredService<AdminToken>().Value);
        Log.Started(_logger, addresses.Ads, addresses.Grpc, addresses.Http, _kube?.Server.ToString() ?? options.ConfigFolder);
        return addresses;
    }

    /// <summary>Tells the streams, lets calls finish for at most 5 s, then stops.</summary>
    public async Task StopAsync()
    {
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

        _kube?.Dispose();
        _data?.Dispose();
        _stopping.Dispose();
    }

    private WebApplication Build()
    {
        var trustDomain = TrustDomain.Parse(options.TrustDomain);
        var random = new SecureRandom();
        var data = _data = new DataFolder(options.DataFolder);
        var maker = new CertificateMaker(trustDomain, options.CaKey, time, random);
        var trust = new TrustBundleStore(data, trustDomain, time);
        var given = AuthorityLoader.Files(options, time);
        var state = new AuthorityLoader(data, options, maker, time, loggers.CreateLogger<AuthorityLoader>()).Load(given, out var anchors);
        var authority = new MeshAuthority(state, anchors, data, trust, maker, time, loggers.CreateLogger<MeshAuthority>());
        var store = new ModelStore();
        var marks = _marks = new MeshMarks(data, new AbsentMarks(store, trustDomain, time), time, loggers.CreateLogger<MeshMarks>());
        var kube = _kube = options.Kubernetes ? KubeAccess.Open(options, time) : null;
        var source = _source = parts.Source(new ModelSourceContext(options, marks, store, time, loggers, kube));
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
        if (kube is not null)
        {
            services.AddSingleton(kube);
        }

        services.AddSingleton(marks);
        services.AddSingleton(_stopping);
        services.AddSingleton(trust);
        services.AddSingleton(authority);
        services.AddSingleton(new GivenFiles(given));
        services.AddSingleton<Issuer>();
        services.AddSingleton(new JoinTokens(data, trustDomain, time));
        services.AddSingleton(p => AttestorFactory.Create(options, p.GetRequiredService<JoinTokens>(), time, loggers));
        services.AddSingleton(new LeafPolicyStore(data, time, options.LeafLife));
        services.AddSingleton(new AdminToken(data));
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
        return app;
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
        [LoggerMessage(4910, LogLevel.Information, "The control plane serves ADS on {Ads}, TLS gRPC on {Grpc}, HTTP on {Http}, from '{Folder}'", EventName = nameof(Started))]
        public static partial void Started(ILogger logger, string ads, string grpc, string http, string folder);
    }
}
