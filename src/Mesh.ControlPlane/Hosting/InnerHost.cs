using Mesh.ControlPlane.Api;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.CertificateAuthority.Attestation;
using Mesh.ControlPlane.Cluster;
using Mesh.ControlPlane.Dashboard;
using Mesh.ControlPlane.Injector;
using Mesh.ControlPlane.Insight;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources;
using Mesh.ControlPlane.Sources.Kubernetes;
using Mesh.ControlPlane.Tap;
using Mesh.ControlPlane.Telemetry;
using Mesh.ControlPlane.Xds;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Hosting;

/// <summary>What is there before the inner host is built, and outlives it: <see cref="MeshControlPlaneHost"/> owns it.</summary>
/// <param name="Kube">Null without Kubernetes, as is the next.</param>
/// <param name="Injection">Null: webhooks rest on <see cref="ControlPlaneParts.Injector"/>, or there are none.</param>
internal sealed record Foundation(
    MeshControlPlaneOptions Options, ControlPlaneParts Parts, DataFolder Data, IssuerFiles? Given, AuthorityState Authority, ModelStore Store, ManifestOverlay Overlay,
    IMeshMarkStore Marks, IModelSource Source, KubeApi? Kube, ClusterParts? Cluster, ClusterInjection? Injection)
{
    public bool HasWebhooks => Options.Webhooks is not null || Parts.Injector is not null;
}

/// <summary>Builds the web application inside: all services, the steps of a request, what is mapped to which port.</summary>
internal static class InnerHost
{
    public static WebApplication Build(Foundation on, ControlPlanePorts ports, Stopping stopping, TimeProvider time, ILoggerFactory loggers)
    {
        // Empty: an embedding process' Kestrel:Endpoints, ASPNETCORE_URLS and logging are not ours to take.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = typeof(MeshControlPlaneHost).Assembly.GetName().Name });
        var services = builder.Services;
        services.AddSingleton(loggers);
        services.AddSingleton<IHostLifetime, OuterLifetime>();
        services.AddSingleton(time);
        services.AddSingleton(stopping);
        AddFoundation(services, on, time, loggers);
        AddOwn(services, on, time);
        services.AddGrpc();
        services.Configure<RouteHandlerOptions>(o => o.ThrowOnBadRequest = true);
        services.ConfigureHttpJsonOptions(o => ApiJson.Configure(o.SerializerOptions));
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(ports.Listen);

        var app = builder.Build();
        app.Use(ControlPlanePorts.MeetPeerAsync);
        var (rules, gate) = (app.Services.GetRequiredService<HttpPortRules>(), app.Services.GetRequiredService<ApiGate>());
        app.UseWhen(ControlPlanePorts.IsHttp, http => http.Use(ApiErrors.HandleAsync).Use(rules.HandleAsync));
        app.UseRouting();
        app.Use(ControlPlanePorts.KeepToPortAsync);
        app.UseWhen(ControlPlanePorts.IsHttp, http => http.Use(gate.HandleAsync));
        Map(app, on);
        return app;
    }

    private static void AddFoundation(IServiceCollection services, Foundation on, TimeProvider time, ILoggerFactory loggers)
    {
        var (options, cluster) = (on.Options, on.Cluster);
        services.AddSingleton(options);
        services.AddSingleton(on.Data);
        services.AddSingleton(on.Store);
        services.AddSingleton(on.Source);
        if (on.Kube is not null)
        {
            services.AddSingleton(on.Kube);
        }

        services.AddSingleton(on.Marks);
        services.AddSingleton(on.Authority.Trust);
        services.AddSingleton(on.Authority.Authority);
        services.AddSingleton(on.Authority.LeafPolicy);
        services.AddSingleton(new GivenFiles(on.Given));
        services.AddApi(options, cluster?.AdminToken, on.Data, cluster?.Settings.Namespace, time);
        if (cluster is null)
        {
            services.AddSingleton(new JoinTokens(on.Data, TrustDomain.Parse(options.TrustDomain), time));
            services.AddSingleton<IReplicas>(OnlyReplica.Instance);
            services.AddSingleton<IReplicaPeers>(new NoPeers(Environment.MachineName.ToLowerInvariant()));
            services.AddSingleton<IAuthorityChanges>(new OwnState(on.Authority));
        }
        else
        {
            cluster.AddTo(services, on.Store);
            BundleFile.Keep(on.Data, on.Authority.Trust, loggers.CreateLogger<MeshControlPlaneHost>());
        }

        services.AddSingleton(p => AttestorFactory.Create(options, p.GetService<JoinTokens>(), time, loggers, cluster?.TokenReviews));
    }

    private static void AddOwn(IServiceCollection services, Foundation on, TimeProvider time)
    {
        services.AddSingleton<Issuer>();
        services.AddSingleton(new OutgoingCheck(on.Parts.Decode));
        services.AddSingleton(on.Parts.Translator(on.Options));
        services.AddSingleton(p => new ServingCertificate(p.GetRequiredService<Issuer>(), on.Options.Address, time));
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
        services.AddGoldenMetrics();
        services.AddTraces(on.Options);
        services.AddSingleton<IMoreMetrics, TraceMetrics>();
        services.AddTap();
        services.AddInsight(on.Overlay, on.Cluster?.Faults);
        services.AddRoutingCore();
        if (!on.HasWebhooks)
        {
            return;
        }

        if (on.Parts.Injector is { } injector)
        {
            services.AddSingleton(injector);
        }
        else
        {
            var injection = on.Injection!;
            services.AddSingleton(p => injection.Parts(p.GetRequiredService<WebhookCertificate>()));
        }

        services.AddSingleton<PodAdmission>();
    }

    private static void Map(WebApplication app, Foundation on)
    {
        var grpc = new PortFeature(PortKind.Grpc);
        app.MapGrpcService<AdsService>().WithMetadata(new PortFeature(PortKind.Ads | PortKind.Grpc));
        app.MapGrpcService<CsrService>().WithMetadata(grpc);
        app.MapGrpcService<OtlpMetricsService>().WithMetadata(grpc);
        app.MapGrpcService<PartsService>().WithMetadata(grpc);
        app.MapGrpcService<OtlpTraceService>().WithMetadata(grpc);
        app.MapGrpcService<ReplicaClients>().WithMetadata(grpc);
        app.MapGrpcService<TapService>().WithMetadata(grpc);
        app.MapGrpcService<TapReplicasService>().WithMetadata(grpc);
        app.MapGroup(string.Empty).WithMetadata(new PortFeature(PortKind.Http)).MapControlPlaneApi();
        app.MapGroup(string.Empty).WithMetadata(new PortFeature(PortKind.Http)).MapDashboardFiles(DashboardFiles.Embedded);
        if (on.HasWebhooks)
        {
            app.MapGroup(string.Empty).WithMetadata(new PortFeature(PortKind.Webhook)).MapAdmission();
        }
    }

    /// <summary>Signals end the outer process, which then stops this host.</summary>
    private sealed class OuterLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
