using Mesh.Config;

namespace Mesh.Balancing.Pickers;

/// <summary>Chooses one of the candidates. Thread-safe.</summary>
internal abstract class Picker
{
    /// <param name="candidates">At least one.</param>
    public abstract BalancedEndpoint Pick(in Candidates candidates, Random random);

    /// <param name="watch">Told of weights by load reports; null: nobody is.</param>
    public static Picker For(Cluster cluster, TimeProvider time, IWeightWatch? watch = null)
    {
        var slowStart = cluster.SlowStart is { } settings ? new SlowStartRamp(settings, time) : null;
        return cluster.LoadBalancing switch
        {
            LoadBalancing.RoundRobin => new RoundRobinPicker(new ConfiguredWeights(slowStart)),
            LoadBalancing.WeightedRoundRobin => new RoundRobinPicker(new ReportedWeights(cluster.WeightedRoundRobin, slowStart, time, watch)),
            LoadBalancing.LeastRequest => new LeastRequestPicker(cluster.LeastRequestChoices, slowStart),
            LoadBalancing.Random => new RandomPicker(),
            _ => new PeakEwmaPicker(slowStart),
        };
    }
}
