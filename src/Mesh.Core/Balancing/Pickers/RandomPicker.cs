namespace Mesh.Balancing.Pickers;

/// <summary>Any endpoint, by weight.</summary>
internal sealed class RandomPicker : Picker
{
    public override BalancedEndpoint Pick(in Candidates candidates, Random random)
    {
        long total = 0;
        for (var i = 0; i < candidates.Count; i++)
        {
            total += candidates[i].Config.Weight;
        }

        var point = random.NextInt64(total);
        for (var i = 0; i < candidates.Count - 1; i++)
        {
            point -= candidates[i].Config.Weight;
            if (point < 0)
            {
                return candidates[i];
            }
        }

        return candidates[candidates.Count - 1];
    }
}

/// <summary>One after another; weights do not count (xDS ROUND_ROBIN as gRPC does it).</summary>
internal sealed class RoundRobinPicker : Picker
{
    private int _next = -1;

    public override BalancedEndpoint Pick(in Candidates candidates, Random random) =>
        candidates[(int)((uint)Interlocked.Increment(ref _next) % (uint)candidates.Count)];
}
