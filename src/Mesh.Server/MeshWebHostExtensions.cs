using System.Diagnostics;
using Mesh.Hosting;
using Mesh.Server;
using Mesh.Server.Listening;
using Mesh.Server.Logging;
using Mesh.Telemetry;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

#pragma warning disable IDE0130 // Users find it where they already look: builder.WebHost's own namespace.
namespace Microsoft.AspNetCore.Hosting;
#pragma warning restore IDE0130

/// <summary>Brings a web host into the mesh.</summary>
public static class MeshWebHostExtensions
{
    private const string InnerServer = "Mesh.InnerServer";

    /// <summary>Lets every Kestrel endpoint of the app, however it is configured, take mesh TLS beside what it takes anyway.</summary>
    /// <remarks>
    /// Reads the configuration section <c>Mesh</c>; with nothing set there, or under a server that is not Kestrel, it changes nothing.
    /// Callers appear in <see cref="MeshPeerFeature"/> and on <c>HttpContext.User</c>. Call it after <c>UseKestrel()</c>. Calling it twice changes nothing.
    /// </remarks>
    /// <exception cref="MeshConfigurationException">At start, when the mesh is configured in part or wrongly, or <c>UseKestrel()</c> came later.</exception>
    public static IWebHostBuilder UseMesh(this IWebHostBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.ConfigureServices(AddMeshServer);
    }

    private static void AddMeshServer(IServiceCollection services)
    {
        if (services.Any(s => s.ServiceType == typeof(MeshGate)))
        {
            return;
        }

        services.AddMeshServing(provider => new MeshGate(provider));
        services.AddSingleton<IConnectionListenerFactory, MeshListenerFactory>();
        services.TryAddSingleton(provider => new AccessLog(provider.GetRequiredService<IOptions<MeshOptions>>().Value.Server.AccessLog, provider.GetRequiredService<TimeProvider>()));
        DecoratePropagator(services);
        // First: outermost of all middleware.
        services.Insert(0, ServiceDescriptor.Singleton<IStartupFilter, MeshStartupFilter>());
        DecorateServer(services);
    }

    /// <summary>Registers the path of a request in, for whoever brings connections.</summary>
    internal static void AddMeshServing(this IServiceCollection services, Func<IServiceProvider, MeshGate> createGate)
    {
        services.AddMeshCore();
        services.AddSingleton(createGate);
        services.AddSingleton<MeshTlsEndpoint>();
        services.AddSingleton<MeshTlsCallback>();
        services.AddSingleton<InboundMetrics>();
        services.AddSingleton<InboundCounters>();
        services.AddSingleton<ServerSpans>();
        services.AddSingleton(provider => new MeshLoadReporter(provider.GetRequiredService<TimeProvider>()));
        services.AddSingleton<LoadResponses>();
        services.AddSingleton<LoadStream>();
        services.AddSingleton<RefusalLog>();
        services.AddSingleton<InboundTap>();
        services.AddSingleton<InboundAuthorization>();
        services.AddSingleton<JudgedConnections>();
        services.AddSingleton<ConnectionPairs>();
        services.AddSingleton<CountedConnections>();
        services.AddSingleton<HeaderTrust>();
        services.AddSingleton<InboundAuthentication>();
    }

    /// <summary>The host reads traces by it. What the app registered goes on reading what it reads.</summary>
    private static void DecoratePropagator(IServiceCollection services)
    {
        var given = services.LastOrDefault(s => s.ServiceType == typeof(DistributedContextPropagator) && !s.IsKeyedService);
        services.AddSingleton(provider =>
        {
            var inner = given?.ImplementationInstance ?? given?.ImplementationFactory?.Invoke(provider)
                ?? (given?.ImplementationType is { } type ? ActivatorUtilities.CreateInstance(provider, type) : DistributedContextPropagator.Current);
            return provider.GetRequiredService<MeshActivation>().IsOn ? new AnyFormPropagator((DistributedContextPropagator)inner) : (DistributedContextPropagator)inner;
        });
    }

    private static void DecorateServer(IServiceCollection services)
    {
        if (services.LastOrDefault(s => s.ServiceType == typeof(IServer) && !s.IsKeyedService) is not { } app)
        {
            return;
        }

        services.Remove(app);
        services.Add(app switch
        {
            { ImplementationType: { } type } => new ServiceDescriptor(typeof(IServer), InnerServer, type, app.Lifetime),
            { ImplementationFactory: { } factory } => new ServiceDescriptor(typeof(IServer), InnerServer, (sp, _) => factory(sp), app.Lifetime),
            _ => new ServiceDescriptor(typeof(IServer), InnerServer, app.ImplementationInstance!),
        });
        services.AddSingleton<IServer>(sp => new MeshServer(
            sp.GetRequiredKeyedService<IServer>(InnerServer),
            sp.GetRequiredService<MeshGate>(),
            sp.GetRequiredService<IOptions<KestrelServerOptions>>(),
            sp,
            sp.GetRequiredService<ILoggerFactory>()));
    }
}
