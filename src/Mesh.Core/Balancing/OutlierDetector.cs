using Mesh.Config;

namespace Mesh.Balancing;

/// <summary>Decides which endpoints of one cluster sit out, from failures in a row. Thread-safe.</summary>
/// <remarks>Envoy's consecutive-5xx detection. The lock is taken only when an endpoint reaches the threshold.</remarks>
internal sealed class OutlierDetector(TimeProvider time)
{
    private readonly Lock _lock = new();

    /// <summary>Counts how an attempt ended. True when that ejected the endpoint.</summary>
    /// <param name="all">The cluster's endpoints, to know how many may sit out at once.</param>
    /// <param name="now">Timestamp of <see cref="TimeProvider"/>.</param>
    public bool Report(OutlierDetection settings, BalancedEndpoint endpoint, bool failed, BalancedEndpoint[] all, long now)
    {
        if (!failed)
        {
            endpoint.ClearFailures();
            return false;
        }

        if (settings.ConsecutiveFailures <= 0 || endpoint.CountFailure() < settings.ConsecutiveFailures || endpoint.IsEjected(now))
        {
            return false;
        }

        lock (_lock)
        {
            return TryEjectLocked(settings, endpoint, all, now);
        }
    }

    private bool TryEjectLocked(OutlierDetection settings, BalancedEndpoint endpoint, BalancedEndpoint[] all, long now)
    {
        if (endpoint.IsEjected(now))
        {
            return false;
        }

        var ejected = 0;
        foreach (var other in all)
        {
            ejected += other.IsEjected(now) ? 1 : 0;
        }

        // At least one always may, however small the percentage (Envoy).
        if (ejected >= Math.Max(1, all.Length * settings.MaxEjectionPercent / 100))
        {
            return false;
        }

        // Good behaviour since the last ejection shortens the next one: one step per base time (gRFC A50).
        var calm = endpoint.EjectedUntil == long.MinValue ? TimeSpan.Zero : time.GetElapsedTime(endpoint.EjectedUntil, now);
        var forgiven = settings.BaseEjectionTime > TimeSpan.Zero ? (int)Math.Min(int.MaxValue, calm / settings.BaseEjectionTime) : 0;
        endpoint.Ejections = Math.Max(0, endpoint.Ejections - forgiven) + 1;
        var seconds = Math.Min(settings.BaseEjectionTime.TotalSeconds * endpoint.Ejections, Math.Max(settings.BaseEjectionTime.TotalSeconds, settings.MaxEjectionTime.TotalSeconds));
        endpoint.EjectedUntil = now + (long)(seconds * time.TimestampFrequency);
        endpoint.ClearFailures();
        return true;
    }
}
