using System.Globalization;
using Mesh.Config;

namespace Mesh.Balancing;

/// <summary>The algorithms that compare endpoints once per interval (gRFC A50).</summary>
internal sealed partial class OutlierDetector
{
    // Endpoints that do all alike must not differ by the last bit of a sum.
    private const double Rounding = 1e-9;

    // The longest that a timer takes is 49.7 days.
    private static readonly TimeSpan LongestInterval = TimeSpan.FromDays(45);

    // Only while an algorithm needs it.
    private ITimer? _timer;

    // Timestamp at which the interval began whose calls are being counted.
    private long _intervalStart;

    private static bool NeedsSweep(OutlierDetection? settings) => settings is { SuccessRate: not null } or { FailurePercentage: not null };

    private void ArmLocked(OutlierDetection? old, OutlierDetection? settings, BalancedEndpoint[] endpoints)
    {
        if (!NeedsSweep(settings))
        {
            _timer?.Dispose();
            _timer = null;
            return;
        }

        var interval = Interval(settings!);
        var now = time.GetTimestamp();
        if (_timer is null)
        {
            foreach (var endpoint in endpoints)
            {
                endpoint.Calls.Take();
            }

            _intervalStart = now;
            using (ExecutionContext.SuppressFlow())
            {
                _timer = time.CreateTimer(static detector => ((OutlierDetector)detector!).Sweep(), this, interval, interval);
            }
        }
        else if (interval != Interval(old!))
        {
            // The interval that is running gets its new length; when that is over already, it ends now (gRFC A50).
            var left = interval - time.GetElapsedTime(_intervalStart, now);
            _timer.Change(left > TimeSpan.Zero ? left : TimeSpan.Zero, interval);
        }
    }

    private void Sweep()
    {
        List<Ejection>? found = null;
        State? state;
        lock (_lock)
        {
            state = _state;
            // Null or without algorithm: the timer was stopped while it fired.
            if (state is { Sweeps: true })
            {
                SweepLocked(state, time.GetTimestamp(), ref found);
            }
        }

        foreach (var ejection in found ?? [])
        {
            state!.Ejected(ejection);
        }
    }

    private void SweepLocked(State state, long now, ref List<Ejection>? found)
    {
        var began = _intervalStart;
        _intervalStart = now;
        var counts = new (long Successes, long Failures)[state.Endpoints.Length];
        for (var i = 0; i < counts.Length; i++)
        {
            counts[i] = state.Endpoints[i].Calls.Take();
        }

        if (state.Settings.SuccessRate is { } rate)
        {
            BySuccessRateLocked(state, rate, counts, began, now, ref found);
        }

        if (state.Settings.FailurePercentage is { } percentage)
        {
            ByFailurePercentageLocked(state, percentage, counts, began, now, ref found);
        }
    }

    private void BySuccessRateLocked(State state, SuccessRateEjection settings, (long Successes, long Failures)[] counts, long began, long now, ref List<Ejection>? found)
    {
        var (hosts, sum, squares) = (0, 0.0, 0.0);
        foreach (var count in counts)
        {
            if (HasVolume(count, settings.RequestVolume))
            {
                hosts++;
                sum += SuccessRate(count);
            }
        }

        if (hosts == 0 || hosts < settings.MinimumHosts)
        {
            return;
        }

        var mean = sum / hosts;
        foreach (var count in counts)
        {
            if (HasVolume(count, settings.RequestVolume))
            {
                squares += Math.Pow(SuccessRate(count) - mean, 2);
            }
        }

        var least = mean - (Math.Sqrt(squares / hosts) * settings.StdevFactor / 1000) - Rounding;
        for (var i = 0; i < counts.Length; i++)
        {
            if (HasVolume(counts[i], settings.RequestVolume) && SuccessRate(counts[i]) < least && Enforces(settings.EnforcementPercent)
                && TryEjectLocked(state, state.Endpoints[i], began, now) is { } sitsOut)
            {
                var detail = string.Create(
                    CultureInfo.InvariantCulture,
                    $"{100 * SuccessRate(counts[i]):0.#} % of {counts[i].Successes + counts[i].Failures} calls succeeded, and below {100 * least:0.#} % counts as an outlier (mean of {hosts} endpoints {100 * mean:0.#} %)");
                (found ??= []).Add(new Ejection(state.Endpoints[i], Ejection.SuccessRate, detail, sitsOut));
            }
        }
    }

    private void ByFailurePercentageLocked(State state, FailurePercentageEjection settings, (long Successes, long Failures)[] counts, long began, long now, ref List<Ejection>? found)
    {
        var hosts = 0;
        foreach (var count in counts)
        {
            hosts += HasVolume(count, settings.RequestVolume) ? 1 : 0;
        }

        if (hosts < settings.MinimumHosts)
        {
            return;
        }

        for (var i = 0; i < counts.Length; i++)
        {
            var failed = 100 * (1 - SuccessRate(counts[i]));
            if (HasVolume(counts[i], settings.RequestVolume) && failed > settings.Threshold + Rounding && Enforces(settings.EnforcementPercent)
                && TryEjectLocked(state, state.Endpoints[i], began, now) is { } sitsOut)
            {
                var detail = string.Create(CultureInfo.InvariantCulture, $"{failed:0.#} % of {counts[i].Successes + counts[i].Failures} calls failed, more than {settings.Threshold} %");
                (found ??= []).Add(new Ejection(state.Endpoints[i], Ejection.FailurePercentage, detail, sitsOut));
            }
        }
    }

    /// <summary>Nobody is judged by no calls, whatever the volume.</summary>
    private static bool HasVolume((long Successes, long Failures) count, int volume) => count.Successes + count.Failures >= Math.Max(1, volume);

    private static double SuccessRate((long Successes, long Failures) count) => (double)count.Successes / (count.Successes + count.Failures);

    private bool Enforces(int percent) => random.Next(100) < percent;

    private static TimeSpan Interval(OutlierDetection settings) => settings.Interval < LongestInterval ? settings.Interval : LongestInterval;
}
