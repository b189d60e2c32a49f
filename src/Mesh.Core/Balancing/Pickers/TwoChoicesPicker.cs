namespace Mesh.Balancing.Pickers;

/// <summary>Of a few endpoints drawn blindly, the one that costs least. Two of them spread like a full search and cost like none.</summary>
/// <remarks>
/// One that is warming up takes part in a comparison only as often as its slow start allows against the other's: a cost made higher instead would keep it without any call
/// while the others are idle, and give it its full share at once when the window ends.
/// </remarks>
/// <param name="choices">2 or more.</param>
internal abstract class TwoChoicesPicker(int choices, SlowStartRamp? slowStart) : Picker
{
    public sealed override BalancedEndpoint Pick(in Candidates candidates, Random random)
    {
        var count = candidates.Count;
        if (count == 1)
        {
            return candidates[0];
        }

        var best = random.Next(count);
        var picked = candidates[best];
        for (var drawn = 1; drawn < choices; drawn++)
        {
            var other = random.Next(count - 1);
            other += other >= best ? 1 : 0;
            var endpoint = candidates[other];
            if (IsBetter(endpoint, picked, candidates.Now, random))
            {
                (best, picked) = (other, endpoint);
            }
        }

        return picked;
    }

    protected abstract double Cost(BalancedEndpoint endpoint, long now);

    private bool IsBetter(BalancedEndpoint other, BalancedEndpoint picked, long now, Random random)
    {
        if (slowStart is not null)
        {
            var (ours, theirs) = (slowStart.Factor(picked, now), slowStart.Factor(other, now));
            if (ours != theirs && random.NextDouble() * Math.Max(ours, theirs) >= Math.Min(ours, theirs))
            {
                return theirs > ours;
            }
        }

        return Cost(other, now) < Cost(picked, now);
    }
}

/// <summary>Cost is peak-EWMA latency × (calls in flight + 1) ÷ weight.</summary>
internal sealed class PeakEwmaPicker(SlowStartRamp? slowStart) : TwoChoicesPicker(2, slowStart)
{
    protected override double Cost(BalancedEndpoint endpoint, long now) => endpoint.Latency.Cost(now) * (endpoint.InFlight + 1) / endpoint.Config.Weight;
}

/// <summary>Cost is (calls in flight + 1) ÷ weight (gRFC A48).</summary>
internal sealed class LeastRequestPicker(int choices, SlowStartRamp? slowStart) : TwoChoicesPicker(choices, slowStart)
{
    protected override double Cost(BalancedEndpoint endpoint, long now) => (endpoint.InFlight + 1.0) / endpoint.Config.Weight;
}
