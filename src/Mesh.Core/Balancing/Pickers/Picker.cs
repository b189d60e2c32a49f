using Mesh.Config;

namespace Mesh.Balancing.Pickers;

/// <summary>Chooses one of the candidates. Thread-safe.</summary>
internal abstract class Picker
{
    /// <param name="candidates">At least one.</param>
    public abstract BalancedEndpoint Pick(in Candidates candidates, Random random);

    public static Picker For(LoadBalancing policy) => policy switch
    {
        LoadBalancing.RoundRobin => new RoundRobinPicker(),
        LoadBalancing.LeastRequest => new LeastRequestPicker(),
        LoadBalancing.Random => new RandomPicker(),
        _ => new PeakEwmaPicker(),
    };
}
