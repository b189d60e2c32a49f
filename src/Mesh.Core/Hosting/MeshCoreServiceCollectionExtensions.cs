using System.Diagnostics.Metrics;
using Mesh.Config;
using Mesh.Export;
using Mesh.Identity;
using Mesh.Inbound;
using Mesh.Outbound;
using Mesh.Outbound.Steps;
using Mesh.Policy;
using Mesh.Resilience;
using Mesh.Spiffe;
using Mesh.Tap;
using Mesh.Telemetry;
using Mesh.Traffic;
using Mesh.Xds;
using Mesh.Xds.Decoding;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Mesh.Hosting;

/// <summary>Registers what both edges share: options, identity, configuration, telemetry, and their life.</summary>
internal static class MeshCoreServiceCollectionExtensions
{
    /// <summary>Idempotent. What is registered before, such as an identity or a configuration given in code, stays.</summary>
    public static IServiceCollection AddMeshCore(this IServiceCollection services)
    {
        if (services.Any(s => s.ServiceType == typeof(MeshLifetime)))
        {
            return services;
        }

        services.AddOptions<MeshOptions>().ValidateOnStart();
        services.AddSingleton<IConfigureOptions<MeshOptions>>(sp => new MeshOptionsSetup(sp.GetService<IConfiguration>()));
        services.AddSingleton<IValidateOptions<MeshOptions>, MeshOptionsValidator>();
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton(sp => Embedded(sp) is null ? MeshActivation.From(Options(sp)) : new MeshActivation(true));
        services.TryAddSingleton(sp => new MetricAggregate(sp.GetRequiredService<TimeProvider>()) { IsOff = !Options(sp).Metrics });
        services.TryAddSingleton(sp => new CounterTotals(meters: sp.GetService<IMeterFactory>(), time: sp.GetRequiredService<TimeProvider>()));
        services.TryAddSingleton(sp => LocalNode.From(Options(sp)));
        services.TryAddSingleton(CreateTrust);
        services.TryAddSingleton(CreateDialer);
        services.TryAddSingleton(CreateSvidSource);
        services.TryAddSingleton(CreateIdentity);
        services.TryAddSingleton(sp => new LiveConnections(
            sp.GetRequiredService<IWorkloadIdentitySource>(), sp.GetRequiredService<TimeProvider>(), new Random(), sp.GetRequiredService<ILogger<LiveConnections>>()));
        services.TryAddSingleton(CreateConnector);
        services.TryAddSingleton(sp => sp.GetRequiredService<MeshActivation>().IsOn ? ConfigSourceFactory.Create(sp) : new InMemoryConfigSource());
        services.TryAddSingleton(CreateJwksStore);
        services.TryAddSingleton(CreateInboundTable);
        services.TryAddSingleton(CreateExporter);
        services.TryAddSingleton(sp => new IdleSeriesSweep(
            new SeriesCollector(sp.GetRequiredService<MetricAggregate>(), sp.GetRequiredService<CounterTotals>()), sp.GetRequiredService<TimeProvider>(), sp.GetRequiredService<ILogger<IdleSeriesSweep>>()));
        services.TryAddSingleton(sp => CreateText(sp));
        services.TryAddSingleton(sp => new MetricsListener(sp.GetRequiredService<MetricsText>(), sp.GetRequiredService<TimeProvider>(), sp.GetRequiredService<ILogger<MetricsListener>>()));
        services.AddMeshTracing();
        services.TryAddSingleton<TapPoint>();
        services.TryAddSingleton<DenialReports>();
        services.TryAddSingleton(CreateAttendance);
        services.AddSingleton<MeshLifetime>();
        services.AddHostedService(sp => sp.GetRequiredService<MeshLifetime>());
        return services;
    }

    /// <summary>Registers the path of outbound calls, for whoever brings them. Idempotent; after <see cref="AddMeshCore"/>.</summary>
    public static IServiceCollection AddMeshOutbound(this IServiceCollection services)
    {
        services.TryAddSingleton(provider => new OutboundPipeline(
            provider.GetRequiredService<OutboundTableStore>(),
            SettingsOf(provider),
            provider.GetRequiredService<TelemetryStep>(),
            provider.GetRequiredService<TimeProvider>(),
            Chance,
            provider.GetRequiredService<ILoggerFactory>().CreateLogger<OutboundPipeline>()));
        services.TryAddSingleton(provider => new TelemetryStep(provider.GetService<IMeterFactory>(), provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<SpanRecorder>(), provider.GetRequiredService<TapPoint>()));
        services.TryAddSingleton(provider => new MeshConnector(
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<LiveConnections>(),
            provider.GetRequiredService<TelemetryStep>().DecisionCounter,
            provider.GetRequiredService<ILoggerFactory>().CreateLogger<OutboundPipeline>(),
            provider.GetRequiredService<TelemetryStep>().Subchannels));
        services.TryAddSingleton(provider => new OpaquePipeline(
            provider.GetRequiredService<MeshConnector>(),
            provider.GetRequiredService<IWorkloadIdentitySource>(),
            provider.GetRequiredService<TelemetryStep>().DecisionCounter,
            SettingsOf(provider),
            provider.GetRequiredService<TimeProvider>(),
            Chance));
        services.TryAddSingleton(CreateTableStore);
        return services;
    }

    private static OutboundTableStore CreateTableStore(IServiceProvider services)
    {
        var identities = services.GetRequiredService<IWorkloadIdentitySource>();
        var clusters = new ClusterRegistry(
            identities,
            services.GetRequiredService<TimeProvider>(),
            services.GetRequiredService<ILoggerFactory>(),
            new SocketsTransport(services.GetRequiredService<MeshConnector>(), identities),
            Chance,
            services.GetRequiredService<TelemetryStep>().DecisionCounter,
            services.GetRequiredService<LocalNode>().Locality,
            services.GetRequiredService<LiveConnections>(),
            services.GetRequiredService<LocalNode>().Reach,
            services.GetRequiredService<TelemetryStep>().Subchannels);
        var tables = new OutboundTableStore(
            services.GetRequiredService<IConfigSource>(),
            clusters,
            SettingsOf(services),
            services.GetRequiredService<MetricAggregate>(),
            services.GetRequiredService<TimeProvider>(),
            Chance,
            services.GetRequiredService<ILoggerFactory>());
        if (services.GetService<IMeterFactory>() is { } meters)
        {
            BalancerGauges.Register(meters, tables, services.GetRequiredService<TimeProvider>());
        }

        return tables;
    }

    private static OutboundSettings SettingsOf(IServiceProvider services)
    {
        var options = Options(services);
        return new OutboundSettings(options.Workload ?? options.ServiceAccount, options.Namespace, options.ClusterDomain);
    }

#pragma warning disable RS0030 // where the program is put together, chance enters; this one is thread-safe
    private static Random Chance => Random.Shared;
#pragma warning restore RS0030

    private static InboundTable CreateInboundTable(IServiceProvider services)
    {
        var server = Options(services).Server;
        var narrow = new ServerLimits(server.MaxConcurrentRequests, server.MaxQueuedRequests, server.QueueTimeout);
        var unlisted = server.UnlistedAccess switch
        {
            UnlistedAccess.AllowAuthenticated => Unlisted.AllowAuthenticated,
            UnlistedAccess.Deny => Unlisted.Deny,
            _ => Unlisted.Allow,
        };
        return new InboundTable(
            services.GetRequiredService<IConfigSource>(), XdsTypes.InboundPrefix, narrow, services.GetRequiredService<TimeProvider>(), services.GetRequiredService<ILogger<InboundTable>>(),
            services.GetRequiredService<JwksStore>(), unlisted);
    }

    private static JwksStore CreateJwksStore(IServiceProvider services)
    {
        var jwks = Options(services).Jwks;
        var time = services.GetRequiredService<TimeProvider>();
        var fetcher = new JwksFetcher(new FetchGuard(AddressRanges.Of(jwks.AllowedNetworks)), jwks.AllowHttp, time);
        return new JwksStore(fetcher, time, new Random(), services.GetRequiredService<ILogger<JwksStore>>());
    }

    private static MeshOptions Options(IServiceProvider services) => services.GetRequiredService<IOptions<MeshOptions>>().Value;

    private static Uri Address(MeshOptions options) => MeshOptionsValidator.TryReadAddress(options.ControlPlane ?? string.Empty, out var address)
        ? address
        : throw new MeshConfigurationException([$"Mesh:ControlPlane is '{options.ControlPlane}'. Give the control plane's TLS gRPC address, such as https://127.0.0.1:15012."]);

    private static ControlPlaneTrust CreateTrust(IServiceProvider services)
    {
        var options = Options(services);
        var trustDomain = TrustDomain.Parse(options.TrustDomain);
        // Read at every connection: an operator replaces the file before the roots change.
        return options.TrustBundle is { Length: > 0 } file
            ? new ControlPlaneTrust(() => TrustBundleFile.TryRead(file, trustDomain, out var bundle, out var problem) ? bundle : throw new SvidException(problem, needsPerson: true))
            : new ControlPlaneTrust(() => services.GetRequiredService<IWorkloadIdentitySource>().Current?.Bundle
                ?? throw new SvidException("Nothing vouches for the control plane yet: the Workload API has given no bundle.", needsPerson: false));
    }

    private static ControlPlaneDialer CreateDialer(IServiceProvider services) => new(
        services.GetRequiredService<ControlPlaneTrust>(), Options(services).ControlPlaneName ?? ControlPlaneDialer.ServerName, services.GetRequiredService<LiveConnections>);

    private static IEmbeddedControlPlane? Embedded(IServiceProvider services) => services.GetService<IEmbeddedControlPlane>();

    private static SpiffeId OwnId(MeshOptions options) =>
        SpiffeId.ForServiceAccount(TrustDomain.Parse(options.TrustDomain), options.Namespace, options.ServiceAccount);

    private static ISvidSource CreateSvidSource(IServiceProvider services)
    {
        var options = Options(services);
        var (id, nodeId, time) = (OwnId(options), services.GetRequiredService<LocalNode>().Id, services.GetRequiredService<TimeProvider>());
        if (Embedded(services) is { } embedded)
        {
            return embedded.CreateSvidSource(id, nodeId);
        }

        if (options.WorkloadApi is { Length: > 0 } api)
        {
            return WorkloadApiAddress.TryParse(api, out var address, out var problem)
                ? new WorkloadApiSvidSource(address, id, time, new Random())
                : throw new MeshConfigurationException([$"Mesh:WorkloadApi: {problem}"]);
        }

        return options is { CertificateFile: { Length: > 0 } certificate, KeyFile: { Length: > 0 } key, TrustBundle: { Length: > 0 } bundle }
            ? new FileSvidSource(certificate, key, bundle, id.TrustDomain, time)
            : new CaSvidSource(
                Address(options),
                id,
                nodeId,
                services.GetRequiredService<ControlPlaneDialer>(),
                () => options.TokenFile is { Length: > 0 } file ? File.ReadAllText(file) : options.Token,
                time,
                options.ClusterId);
    }

    private static IWorkloadIdentitySource CreateIdentity(IServiceProvider services) => services.GetRequiredService<MeshActivation>().IsOn
        ? new SvidRotator(
            services.GetRequiredService<ISvidSource>(), services.GetRequiredService<TimeProvider>(), new Random(), services.GetRequiredService<ILogger<SvidRotator>>())
        : new NoIdentity();

    private static IAdsConnector CreateConnector(IServiceProvider services)
    {
        var options = Options(services);
        return Embedded(services)?.CreateConnector(OwnId(options))
            ?? new ControlPlaneChannel(Address(options), services.GetRequiredService<ControlPlaneDialer>(), services.GetRequiredService<IWorkloadIdentitySource>());
    }

    private static MetricsText CreateText(IServiceProvider services)
    {
        var node = services.GetRequiredService<LocalNode>();
        return new MetricsText(services.GetRequiredService<MetricAggregate>(), services.GetRequiredService<CounterTotals>(), node.Workload, node.Namespace, node.Id);
    }

    private static OtlpMetricsExporter CreateExporter(IServiceProvider services)
    {
        var node = services.GetRequiredService<LocalNode>();
        return new OtlpMetricsExporter(
            services.GetRequiredService<MetricAggregate>(),
            OtlpRequest.Resource(node.Workload, node.Namespace, node.Id),
            services.GetRequiredService<IAdsConnector>().ConnectAsync,
            Options(services).TelemetryInterval,
            services.GetRequiredService<TimeProvider>(),
            services.GetRequiredService<ILogger<OtlpMetricsExporter>>(),
            services.GetRequiredService<CounterTotals>());
    }

    private static TapAttendance CreateAttendance(IServiceProvider services)
    {
        var node = services.GetRequiredService<LocalNode>();
        return new TapAttendance(
            services.GetRequiredService<TapPoint>(),
            services.GetRequiredService<DenialReports>(),
            new TapAttendant(node.Id, node.Workload, !Options(services).Tap),
            services.GetRequiredService<OtlpMetricsExporter>().Hurry,
            services.GetRequiredService<IAdsConnector>().ConnectAsync,
            services.GetRequiredService<TimeProvider>(),
            new Random(),
            services.GetRequiredService<ILogger<TapAttendance>>());
    }

    /// <summary>Stands where an identity would while the mesh is off.</summary>
    private sealed class NoIdentity : IWorkloadIdentitySource
    {
        public WorkloadIdentity? Current => null;

        public string Problem => "The mesh is off. Set Mesh:ControlPlane, Mesh:TrustBundle and Mesh:Token or Mesh:TokenFile to turn it on.";

        public ValueTask<WorkloadIdentity> GetAsync(CancellationToken cancellationToken) =>
            ValueTask.FromException<WorkloadIdentity>(new InvalidOperationException(Problem));
    }
}
