using Mesh.Config;
using Mesh.Export;
using Mesh.Identity;
using Mesh.Inbound;
using Mesh.Policy;
using Mesh.Resilience;
using Mesh.Spiffe;
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
        services.TryAddSingleton<MetricAggregate>();
        services.TryAddSingleton(sp => LocalNode.From(Options(sp)));
        services.TryAddSingleton(CreateDialer);
        services.TryAddSingleton(CreateSvidSource);
        services.TryAddSingleton(CreateIdentity);
        services.TryAddSingleton(CreateConnector);
        services.TryAddSingleton(sp => sp.GetRequiredService<MeshActivation>().IsOn ? ConfigSourceFactory.Create(sp) : new InMemoryConfigSource());
        services.TryAddSingleton(CreateJwksStore);
        services.TryAddSingleton(CreateInboundTable);
        services.TryAddSingleton(CreateExporter);
        services.AddSingleton<MeshLifetime>();
        services.AddHostedService(sp => sp.GetRequiredService<MeshLifetime>());
        return services;
    }

    private static InboundTable CreateInboundTable(IServiceProvider services)
    {
        var server = Options(services).Server;
        var narrow = new ServerLimits(server.MaxConcurrentRequests, server.MaxQueuedRequests, server.QueueTimeout);
        return new InboundTable(
            services.GetRequiredService<IConfigSource>(), XdsTypes.InboundPrefix, narrow, services.GetRequiredService<TimeProvider>(), services.GetRequiredService<ILogger<InboundTable>>(),
            services.GetRequiredService<JwksStore>());
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

    private static ControlPlaneDialer CreateDialer(IServiceProvider services)
    {
        var options = Options(services);
        var trustDomain = TrustDomain.Parse(options.TrustDomain);
        // Read at every connection: an operator replaces the file before the roots change.
        return new ControlPlaneDialer(() => TrustBundleFile.TryRead(options.TrustBundle ?? string.Empty, trustDomain, out var bundle, out var problem)
            ? bundle
            : throw new SvidException(problem, needsPerson: true));
    }

    private static IEmbeddedControlPlane? Embedded(IServiceProvider services) => services.GetService<IEmbeddedControlPlane>();

    private static SpiffeId OwnId(MeshOptions options) =>
        SpiffeId.ForServiceAccount(TrustDomain.Parse(options.TrustDomain), options.Namespace, options.ServiceAccount);

    private static ISvidSource CreateSvidSource(IServiceProvider services)
    {
        var options = Options(services);
        var nodeId = services.GetRequiredService<LocalNode>().Id;
        return Embedded(services)?.CreateSvidSource(OwnId(options), nodeId) ?? new CaSvidSource(
            Address(options),
            OwnId(options),
            nodeId,
            services.GetRequiredService<ControlPlaneDialer>(),
            () => options.TokenFile is { Length: > 0 } file ? File.ReadAllText(file) : options.Token,
            services.GetRequiredService<TimeProvider>());
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

    private static OtlpMetricsExporter CreateExporter(IServiceProvider services)
    {
        var node = services.GetRequiredService<LocalNode>();
        return new OtlpMetricsExporter(
            services.GetRequiredService<MetricAggregate>(),
            OtlpRequest.Resource(node.Workload, node.Namespace, node.Id),
            services.GetRequiredService<IAdsConnector>().ConnectAsync,
            Options(services).TelemetryInterval,
            services.GetRequiredService<TimeProvider>(),
            services.GetRequiredService<ILogger<OtlpMetricsExporter>>());
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
