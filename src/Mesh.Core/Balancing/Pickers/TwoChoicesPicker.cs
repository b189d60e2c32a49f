namespace Mesh.Balancing.Pickers;

/// <summary>Power of two choices: of two different endpoints drawn blindly, the one that costs less. Spreads like a full search, costs like none.</summary>
internal abstract class TwoChoicesPicker : Picker
{
    public sealed override BalancedEndpoint Pick(in Candidates candidates, Random random)
    {
        var count = candidates.Count;
        if (count == 1)
        {
            return candidates[0];
        }

        var first = random.Next(count);
        var second = random.Next(count - 1);
        second += second >= first ? 1 : 0;
        var (a, b) = (candidates[first], candidates[second]);
        return Cost(b, candidates.Now) < Cost(a, candidates.Now) ? b : a;
    }

    protected abstract double Cost(BalancedEndpoint endpoint, long now);
}

/// <summary>Cost is peak-EWMA latency × (calls in flight + 1) ÷ weight.</summary>
internal sealed class PeakEwmaPicker : TwoChoicesPicker
{
    protected override double Cost(BalancedEndpoint endpoint, long now) => endpoint.Latency.Cost(now) * (endpoint.InFlight + 1) / endpoint.Config.Weight;
}

/// <summary>Cost is (calls in flight + 1) ÷ weight (gRFC A48).</summary>
internal sealed class LeastRequestPicker : TwoChoicesPicker
{
    protected override double Cost(BalancedEndpoint endpoint, long now) => (endpoint.InFlight + 1.0) / endpoint.Config.Weight;
}
