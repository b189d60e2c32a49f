using Mesh.Config;
using Mesh.Hosting;
using Mesh.Identity;
using Microsoft.Extensions.DependencyInjection;

namespace Mesh.Benchmarks;

/// <summary>Gives AddMesh() and UseMesh() a configuration and an identity in code, instead of a control plane.</summary>
internal static class BenchMeshExtensions
{
    /// <param name="metrics">Whether calls are counted.</param>
    public static IServiceCollection AddBenchMesh(this IServiceCollection services, IConfigSource source, WorkloadIdentity identity, string workload, bool metrics = true)
    {
        services.AddSingleton(new MeshActivation(IsOn: true));
        services.AddSingleton(source);
        services.AddSingleton<IWorkloadIdentitySource>(new FixedIdentitySource(identity));
        services.Configure<MeshOptions>(o => (o.Workload, o.Metrics) = (workload, metrics));
        return services;
    }
}
