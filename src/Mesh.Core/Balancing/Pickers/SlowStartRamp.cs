using Mesh.Config;

namespace Mesh.Balancing.Pickers;

/// <summary>What part of its weight an endpoint has while it warms up. Immutable.</summary>
/// <remarks>Envoy's formula: (time in use ÷ window) to the power of 1 ÷ aggression, at least the least weight; the first second counts as one.</remarks>
internal sealed class SlowStartRamp(SlowStart settings, TimeProvider time)
{
    private readonly long _window = Math.Max(1, (long)(settings.Window.TotalSeconds * time.TimestampFrequency));
    private readonly long _second = time.TimestampFrequency;
    private readonly double _least = settings.MinWeightPercent / 100.0;

    /// <summary>How often weights that follow the ramp are to be computed: a twentieth of the window, 10 ms–1 s.</summary>
    public long Step => Math.Clamp(_window / 20, _second / 100, _second);

    /// <summary>0–1; 1 when it is warm.</summary>
    /// <param name="now">Timestamp.</param>
    public double Factor(BalancedEndpoint endpoint, long now)
    {
        var since = endpoint.UsableSince;
        if (since == long.MinValue || now - since >= _window)
        {
            return 1;
        }

        var share = Math.Min(1, Math.Max(now - since, _second) / (double)_window);
        return Math.Max(_least, settings.Aggression == 1 ? share : Math.Pow(share, 1 / settings.Aggression));
    }
}
