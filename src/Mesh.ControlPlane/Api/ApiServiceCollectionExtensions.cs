using Mesh.ControlPlane.Model;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Mesh.ControlPlane.Api;

internal static class ApiServiceCollectionExtensions
{
    /// <summary>What the HTTP API rests on.</summary>
    /// <param name="shared">The token that replicas share; null: tokens are in the data folder.</param>
    public static IServiceCollection AddApi(this IServiceCollection services, MeshControlPlaneOptions options, AdminToken? shared, IStateStore data, string? systemNamespace, TimeProvider time)
    {
        var admin = shared ?? new AdminToken(data);
        services.AddSingleton(admin);
        services.AddSingleton(shared is null ? new ApiTokens(admin, data) : new ApiTokens(admin, null, null));
        services.AddSingleton<IAuditLog, AuditLog>();
        services.AddSingleton<ApiGate>();
        services.AddSingleton(new HostNames(systemNamespace ?? "mesh-system", options.ClusterDomain, options.HttpHosts));
        services.AddSingleton<HttpPortRules>();
        services.AddSingleton(new Uptime(time));
        if (shared is null)
        {
            services.AddSingleton<ReplicaView, OnlyOne>();
        }

        // Whoever knows of others registers before.
        services.TryAddSingleton<IReplicaPeers>(p => new NoPeers(p.GetRequiredService<ReplicaView>().Own));

        services.AddSingleton<ClientList>();
        services.AddSingleton<InsightTopics>();
        services.AddSingleton<InsightStream>();
        services.AddEndpointsApiExplorer();
        services.AddSingleton<OpenApiDocument>();
        return services;
    }
}
