using Mesh.Config;

namespace Mesh.Balancing.Pickers;

/// <summary>Is told when weights are worked out from load reports. Thread-safe.</summary>
internal interface IWeightWatch
{
    /// <param name="weights">One per endpoint; 0 where it has none of its own.</param>
    /// <param name="known">How many have one.</param>
    /// <param name="stale">How many had one, and it is too old.</param>
    void Updated(ReadOnlySpan<double> weights, int known, int stale);
}

/// <summary>What endpoints are worth in a rotation. Thread-safe.</summary>
internal abstract class EndpointWeights
{
    /// <param name="now">Timestamp.</param>
    /// <param name="weights">Filled, one per endpoint, more than 0.</param>
    /// <returns>Timestamp at which to ask again; <see cref="long.MaxValue"/> when only an update can change them.</returns>
    public abstract long Compute(BalancedEndpoint[] endpoints, long now, Span<double> weights);

    /// <summary>Makes those that are warming up lighter.</summary>
    /// <returns>See <see cref="Compute"/>.</returns>
    protected static long Ramp(SlowStartRamp? slowStart, BalancedEndpoint[] endpoints, long now, Span<double> weights)
    {
        var warming = false;
        for (var i = 0; slowStart is not null && i < endpoints.Length; i++)
        {
            var factor = slowStart.Factor(endpoints[i], now);
            weights[i] *= Math.Max(factor, 0.0001);
            warming |= factor < 1;
        }

        return warming ? now + slowStart!.Step : long.MaxValue;
    }
}

/// <summary>As the control plane says.</summary>
internal sealed class ConfiguredWeights(SlowStartRamp? slowStart) : EndpointWeights
{
    public override long Compute(BalancedEndpoint[] endpoints, long now, Span<double> weights)
    {
        for (var i = 0; i < endpoints.Length; i++)
        {
            weights[i] = endpoints[i].Config.Weight;
        }

        return Ramp(slowStart, endpoints, now, weights);
    }
}

/// <summary>As the endpoints' load reports say (gRFC A58): those without one count as the mean of the others; with fewer than two of them the control plane's weights count.</summary>
/// <param name="watch">Told of each time that weights are worked out; null: nobody is.</param>
internal sealed class ReportedWeights(WeightedRoundRobin settings, SlowStartRamp? slowStart, TimeProvider time, IWeightWatch? watch = null) : EndpointWeights
{
    /// <summary>With fewer that have one of their own, their weights say nothing (gRFC A58).</summary>
    public const int Enough = 2;

    private readonly ConfiguredWeights _configured = new(null);
    private readonly long _period = (long)(settings.UpdatePeriod.TotalSeconds * time.TimestampFrequency);

    public override long Compute(BalancedEndpoint[] endpoints, long now, Span<double> weights)
    {
        var (sum, known, stale) = (0.0, 0, 0);
        for (var i = 0; i < endpoints.Length; i++)
        {
            weights[i] = endpoints[i].LoadWeight(settings, time, now, out var isStale);
            sum += weights[i];
            known += weights[i] > 0 ? 1 : 0;
            stale += isStale ? 1 : 0;
        }

        watch?.Updated(weights, known, stale);

        if (known < Enough)
        {
            _configured.Compute(endpoints, now, weights);
        }
        else
        {
            foreach (ref var weight in weights)
            {
                weight = weight > 0 ? weight : sum / known;
            }
        }

        return Math.Min(now + _period, Ramp(slowStart, endpoints, now, weights));
    }
}
