using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Tap;

/// <summary>Registers the room.</summary>
internal static class TapRegistration
{
    public static IServiceCollection AddTap(this IServiceCollection services)
    {
        services.AddSingleton<DenialStore>();
        services.AddSingleton<TapHub>();
        services.AddSingleton(p => new TapWatches(p.GetRequiredService<TapHub>(), p.GetService<IReplicaPeers>(), p.GetRequiredService<TimeProvider>()));
        services.AddSingleton(p => new DenialAnswers(p.GetRequiredService<DenialStore>(), p.GetService<IReplicaPeers>(), p.GetRequiredService<TimeProvider>()));
        services.AddSingleton<IDataPlanes>(p => new DataPlanes(p.GetRequiredService<TapHub>(), p.GetService<IReplicaPeers>(), p.GetRequiredService<TimeProvider>()));
        return services;
    }
}
