using Mesh.Hosting;
using Mesh.Outbound;
using Mesh.Server;
using Mesh.Server.Logging;
using Mesh.Telemetry;
using Mesh.Transparent.Admin;
using Mesh.Transparent.Forwarding;
using Mesh.Transparent.Inbound;
using Mesh.Transparent.Interception;
using Mesh.Transparent.Listening;
using Mesh.Transparent.Outbound;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Mesh.Transparent;

/// <summary>Puts the proxy together from the core's parts and its own.</summary>
internal static class SidecarServices
{
    /// <summary>What is registered before, such as a redirection or a configuration given in code, stays.</summary>
    public static IServiceCollection AddSidecar(this IServiceCollection services, SidecarOptions options)
    {
        services.AddMetrics();
        services.AddKestrelCore();
        services.AddSingleton(options);
        services.TryAddSingleton<IRedirection, KernelRedirection>();
        // Before the core's own: who we are is what the proxy was told.
        services.TryAddSingleton(provider =>
        {
            var node = LocalNode.From(provider.GetRequiredService<IOptions<MeshOptions>>().Value);
            return node with
            {
                IsTransparent = true,
                InstanceIps = [.. (options.InstanceIps ?? provider.GetRequiredService<OwnAddresses>().Reachable).Select(a => a.ToString())],
                SkipInboundPorts = options.SkipInboundPorts.Count > 0 ? options.SkipInboundPorts.ToString() : null,
            };
        });
        services.AddMeshServing(provider => new MeshGate(provider) { TakesTcp = true });
        services.AddMeshOutbound();
        services.AddSingleton<SidecarMetrics>();
        services.AddSingleton(provider => new OwnAddresses(provider.GetRequiredService<TimeProvider>()));
        services.AddSingleton<OwnPorts>();
        services.AddSingleton(provider => new SocketConnections(provider.GetRequiredService<ILoggerFactory>()));
        services.AddSingleton(provider => new EgressDestinations(
            SettingsOf(provider), provider.GetRequiredService<MetricAggregate>(), options.Egress, provider.GetRequiredService<TimeProvider>()));
        services.AddSingleton<InboundPlaces>();
        services.AddSingleton<InboundTarget>();
        services.AddSingleton(provider => new AccessLog(options.AccessLog, provider.GetRequiredService<TimeProvider>()));
        services.TryAddSingleton(_ => new LogLevels(options.LogLevel));
        services.AddSingleton(provider => ActivatorUtilities.CreateInstance<ConfigDump>(provider, provider.GetRequiredService<IOptions<MeshOptions>>().Value));
        services.AddSingleton<ISidecarState>(provider => provider.GetRequiredService<SidecarHost>());
        services.AddSingleton<AdminMetrics>();
        services.AddSingleton<AdminServer>();
        services.AddSingleton(provider => new Lazy<AdminServer>(provider.GetRequiredService<AdminServer>));
        services.AddSingleton(CreateOutbound);
        services.AddSingleton(CreateInbound);
        services.AddSingleton<SidecarHost>();
        services.AddHostedService(provider => provider.GetRequiredService<SidecarHost>());
        return services;
    }

    private static OutboundSide CreateOutbound(IServiceProvider services) => new(
        services.GetRequiredService<IRedirection>(),
        services.GetRequiredService<OwnPorts>(),
        services.GetRequiredService<OutboundPipeline>(),
        services.GetRequiredService<OpaquePipeline>(),
        services.GetRequiredService<EgressDestinations>(),
        services.GetRequiredService<SidecarOptions>(),
        services.GetRequiredService<SocketConnections>(),
        services.GetRequiredService<SidecarMetrics>(),
        services.GetRequiredService<RefusalLog>(),
        services.GetRequiredService<TimeProvider>(),
        Chance,
        services,
        services.GetRequiredService<ILoggerFactory>());

    private static InboundSide CreateInbound(IServiceProvider services)
    {
        var forwarder = new HttpForwarder(services.GetRequiredService<InboundTarget>(), services.GetRequiredService<TimeProvider>(), services.GetRequiredService<ILogger<HttpForwarder>>());
        var middleware = ActivatorUtilities.CreateInstance<MeshMiddleware>(services, (RequestDelegate)forwarder.ForwardAsync);
        var log = services.GetRequiredService<AccessLog>();
        return new InboundSide(
            services.GetRequiredService<IRedirection>(),
            services.GetRequiredService<OwnPorts>(),
            services.GetRequiredService<MeshGate>(),
            services.GetRequiredService<MeshTlsEndpoint>(),
            services.GetRequiredService<InboundPlaces>(),
            log.IsOn ? new LoggedRequests(log, middleware.InvokeAsync, services.GetRequiredService<TimeProvider>()).ServeAsync : middleware.InvokeAsync,
            services.GetRequiredService<SidecarOptions>(),
            services.GetRequiredService<SocketConnections>(),
            services.GetRequiredService<SidecarMetrics>(),
        services.GetRequiredService<RefusalLog>(),
            services.GetRequiredService<MetricAggregate>(),
            services.GetRequiredService<LocalNode>(),
            services.GetRequiredService<TimeProvider>(),
            services,
            services.GetRequiredService<ILoggerFactory>());
    }

    private static OutboundSettings SettingsOf(IServiceProvider services)
    {
        var options = services.GetRequiredService<IOptions<MeshOptions>>().Value;
        return new OutboundSettings(options.Workload ?? options.ServiceAccount, options.Namespace, options.ClusterDomain);
    }

#pragma warning disable RS0030 // where the program is put together, chance enters; this one is thread-safe
    private static Random Chance => Random.Shared;
#pragma warning restore RS0030
}
