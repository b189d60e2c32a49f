using Mesh.Client;
using Mesh.Client.Coexistence;
using Mesh.Hosting;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Http;
using Microsoft.Extensions.Http.Resilience;
using Microsoft.Extensions.Options;

#pragma warning disable IDE0130 // users find extension methods of IServiceCollection where they already look
namespace Microsoft.Extensions.DependencyInjection;
#pragma warning restore IDE0130

/// <summary>Lets the HTTP and gRPC clients of a program join the mesh.</summary>
public static class MeshServiceCollectionExtensions
{
    /// <summary>Every client of <see cref="IHttpClientFactory"/>, typed and gRPC clients included, calls services through the mesh: mTLS, balancing, retries, timeouts, metrics.</summary>
    /// <remarks>Calling it twice changes nothing. Without configuration (section <c>Mesh</c>) the mesh is off and the clients behave as without this call. Hosts that are no services are reached as before.</remarks>
    /// <param name="services">The program's services.</param>
    /// <returns><paramref name="services"/>.</returns>
    public static IServiceCollection AddMesh(this IServiceCollection services)
    {
        ArgumentNullException.ThrowIfNull(services);
        if (services.Any(d => d.ImplementationType == typeof(MeshHandlerFilter)))
        {
            return services;
        }

        services.AddMeshCore();
        services.AddHttpClient();
        // First registered is outermost: it has the last word on the primary handler, after the framework's own filters.
        services.Insert(0, ServiceDescriptor.Singleton<IHttpMessageHandlerBuilderFilter, MeshHandlerFilter>());
        services.AddSingleton<IOptionsProblems, ClientOptionsProblems>();
        services.AddSingleton<IPostConfigureOptions<HttpStandardResilienceOptions>, ProbedOptions>();
        services.AddSingleton<IPostConfigureOptions<HttpStandardHedgingResilienceOptions>, ProbedOptions>();
        services.TryAddSingleton<ResilienceHandlers>();
        services.TryAddSingleton<ClientLimitsFactory>();
        services.AddMeshOutbound();
        return services;
    }

    /// <summary>Leaves this client out of the mesh: it behaves as without <see cref="AddMesh"/>.</summary>
    /// <param name="builder">The client.</param>
    /// <returns><paramref name="builder"/>.</returns>
    public static IHttpClientBuilder DisableMesh(this IHttpClientBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.Configure<MeshClientOptions>(builder.Name, options => options.IsDisabled = true);
        return builder;
    }

    /// <summary>Sets what this client allows its calls to services of the mesh at most, and who tries again. It narrows what the mesh says; a larger value has no effect.</summary>
    /// <remarks>For clients of <c>AddGrpcClient</c> too; under <c>ConfigureHttpClientDefaults</c> for all clients. The configuration (<c>Mesh:Clients:&lt;name&gt;</c>, <c>Mesh:Services:&lt;service&gt;</c>) may narrow further.</remarks>
    /// <param name="builder">The client.</param>
    /// <param name="configure">Sets the options.</param>
    /// <returns><paramref name="builder"/>.</returns>
    public static IHttpClientBuilder ConfigureMesh(this IHttpClientBuilder builder, Action<MeshClientOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(configure);
        // Looked at when the program starts, so that a wrong value is not met by the first call.
        builder.Services.AddSingleton(new ConfiguredClient(builder.Name));
        builder.Services.Configure(builder.Name, configure);
        return builder;
    }
}
