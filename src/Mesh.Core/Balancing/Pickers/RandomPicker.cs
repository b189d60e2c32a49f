namespace Mesh.Balancing.Pickers;

/// <summary>Any endpoint, by weight.</summary>
internal sealed class RandomPicker : Picker
{
    public override BalancedEndpoint Pick(in Candidates candidates, Random random)
    {
        long total = 0;
        foreach (var endpoint in candidates.InUse)
        {
            total += candidates.Takes(endpoint) ? endpoint.Config.Weight : 0;
        }

        var point = random.NextInt64(total);
        foreach (var endpoint in candidates.InUse)
        {
            point -= candidates.Takes(endpoint) ? endpoint.Config.Weight : 0;
            if (point < 0)
            {
                return endpoint;
            }
        }

        // An update made one lighter between the two looks.
        return candidates[candidates.Count - 1];
    }
}
