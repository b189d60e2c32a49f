using System.Globalization;
using Mesh.Config;

namespace Mesh.Balancing;

/// <summary>Decides which endpoints of one cluster sit out, from how their calls ended: at once after failures in a row, else by a sweep over all of them. Thread-safe.</summary>
/// <remarks>
/// gRFC A50 (success rate, failure percentage) and Envoy's consecutive-5xx detection, which share time out and bounds.
/// The call path counts without lock; the lock is taken when an endpoint reaches the threshold, by the sweep and by a new configuration.
/// </remarks>
/// <param name="random">For enforcement percentages. Used under the lock alone.</param>
internal sealed partial class OutlierDetector(TimeProvider time, Random random)
{
    // Durations of the wire go up to 10,000 years, timestamps do not.
    private const double LongestSeconds = 100_000_000;
    private readonly Lock _lock = new();
    private volatile State? _state;
    private bool _stopped;

    /// <summary>Takes over settings and endpoints. Null settings let everybody back in.</summary>
    /// <param name="ejected">Told of every ejection, outside of the lock.</param>
    public void Configure(OutlierDetection? settings, BalancedEndpoint[] endpoints, Action<Ejection> ejected)
    {
        lock (_lock)
        {
            if (_stopped)
            {
                return;
            }

            var old = _state;
            if (settings is null)
            {
                foreach (var endpoint in endpoints)
                {
                    endpoint.ClearFailures();
                    if (endpoint.Ejections > 0)
                    {
                        (endpoint.EjectedUntil, endpoint.Ejections) = (long.MinValue, 0);
                    }
                }
            }

            // Before the timer: a sweep finds the settings that it was armed for.
            _state = settings is null ? null : new State(settings, endpoints, ejected);
            ArmLocked(old?.Settings, settings, endpoints);
        }
    }

    /// <summary>Counts how an attempt ended. True when that ejected the endpoint.</summary>
    /// <param name="now">Timestamp of <see cref="TimeProvider"/>.</param>
    public bool Report(BalancedEndpoint endpoint, bool failed, long now)
    {
        if (_state is not { } state)
        {
            return false;
        }

        if (state.Sweeps)
        {
            endpoint.Calls.Count(failed);
        }

        if (!failed)
        {
            endpoint.ClearFailures();
            return false;
        }

        var threshold = state.Settings.ConsecutiveFailures;
        if (threshold <= 0 || endpoint.CountFailure() < threshold || endpoint.IsEjected(now))
        {
            return false;
        }

        TimeSpan? sitsOut;
        lock (_lock)
        {
            sitsOut = TryEjectLocked(state, endpoint, quietUntil: now, now);
        }

        if (sitsOut is null)
        {
            return false;
        }

        state.Ejected(new Ejection(endpoint, Ejection.ConsecutiveFailures, string.Create(CultureInfo.InvariantCulture, $"{threshold} failures in a row"), sitsOut.Value));
        return true;
    }

    /// <summary>No more sweeps.</summary>
    public void Stop()
    {
        lock (_lock)
        {
            _stopped = true;
            _state = null;
            _timer?.Dispose();
            _timer = null;
        }
    }

    /// <param name="quietUntil">Up to here the endpoint gave no cause: what an interval's counts condemn began with that interval.</param>
    /// <returns>How long it sits out; null when it does so already, or when no more may.</returns>
    private TimeSpan? TryEjectLocked(State state, BalancedEndpoint endpoint, long quietUntil, long now)
    {
        if (endpoint.IsEjected(now) || !MayEjectLocked(state, now))
        {
            return null;
        }

        // Good behaviour since the last ejection shortens the next one: one step per interval (gRFC A50).
        var settings = state.Settings;
        var quiet = endpoint.EjectedUntil == long.MinValue ? TimeSpan.Zero : time.GetElapsedTime(endpoint.EjectedUntil, quietUntil);
        var forgiven = settings.Interval > TimeSpan.Zero && quiet > TimeSpan.Zero ? (int)Math.Min(int.MaxValue, quiet / settings.Interval) : 0;
        endpoint.Ejections = Math.Max(0, endpoint.Ejections - forgiven) + 1;
        var longest = Math.Min(LongestSeconds, Math.Max(settings.BaseEjectionTime.TotalSeconds, settings.MaxEjectionTime.TotalSeconds));
        var seconds = Math.Min(settings.BaseEjectionTime.TotalSeconds * endpoint.Ejections, longest);
        endpoint.EjectedUntil = now + (long)(seconds * time.TimestampFrequency);
        endpoint.ClearFailures();
        return TimeSpan.FromSeconds(seconds);
    }

    /// <summary>At least one always may, however small the percentage (Envoy).</summary>
    private static bool MayEjectLocked(State state, long now)
    {
        var count = 0;
        foreach (var other in state.Endpoints)
        {
            count += other.IsEjected(now) ? 1 : 0;
        }

        return count < Math.Max(1, (long)state.Endpoints.Length * state.Settings.MaxEjectionPercent / 100);
    }

    private sealed record State(OutlierDetection Settings, BalancedEndpoint[] Endpoints, Action<Ejection> Ejected)
    {
        public bool Sweeps { get; } = NeedsSweep(Settings);
    }
}
