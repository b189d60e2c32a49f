using Mesh.Config;

namespace Mesh.Balancing;

/// <summary>Decides from probes which endpoints of one cluster may be used, and when which one is probed next.</summary>
/// <remarks>Not thread-safe: owned by the cluster's loop. It sends nothing and never asks a clock.</remarks>
internal sealed class HealthChecker(TimeProvider time, Random random)
{
    // So that many callers do not probe in step.
    private const double Jitter = 0.1;

    // Durations of the wire go up to 10,000 years, timestamps do not.
    private static readonly TimeSpan Longest = TimeSpan.FromDays(1000);
    private readonly Dictionary<BalancedEndpoint, Health> _healths = [];
    private HealthCheck? _settings;

    /// <summary>Takes over settings and endpoints; ones that are new are due soon. What another probe found out is forgotten.</summary>
    /// <param name="settings">Null: nobody is probed, and nobody sits out for it.</param>
    public void Update(HealthCheck? settings, IReadOnlyList<BalancedEndpoint> endpoints, long now)
    {
        var known = new HashSet<BalancedEndpoint>(endpoints.Where(e => e.Config.Healthy && settings is not null));
        var forgetAll = settings is null || (_settings is not null && !SameProbe(settings.Probe, _settings.Probe));
        foreach (var endpoint in _healths.Keys.Where(e => forgetAll || !known.Contains(e)).ToArray())
        {
            _healths.Remove(endpoint);
            endpoint.ProbeFailing = false;
        }

        var restart = settings is not null && _settings is not null && settings.Interval != _settings.Interval;
        _settings = settings;
        foreach (var endpoint in known)
        {
            if (!_healths.TryGetValue(endpoint, out var health))
            {
                // At once, and not all within the same moment.
                _healths[endpoint] = new Health { DueAt = now + Ticks(TimeSpan.FromTicks(Math.Min(settings!.Interval.Ticks / 10, TimeSpan.TicksPerSecond / 10)) * random.NextDouble()) };
            }
            else if (restart && !health.IsRunning)
            {
                health.DueAt = Math.Min(health.DueAt, Next(now));
            }
        }
    }

    /// <summary>An endpoint to probe now; it is not handed out again before <see cref="Record"/>. Null when none is due.</summary>
    public BalancedEndpoint? TakeDue(long now)
    {
        BalancedEndpoint? first = null;
        var due = now;
        foreach (var (endpoint, health) in _healths)
        {
            // The longest overdue: with few hands nobody is forgotten.
            if (!health.IsRunning && health.DueAt <= due)
            {
                (first, due) = (endpoint, health.DueAt);
            }
        }

        if (first is not null)
        {
            _healths[first].IsRunning = true;
            _healths[first].DueAt = Next(now);
        }

        return first;
    }

    /// <summary>Until the next one is due; null when nobody waits.</summary>
    public TimeSpan? UntilDue(long now)
    {
        var first = long.MaxValue;
        foreach (var health in _healths.Values)
        {
            if (!health.IsRunning)
            {
                first = Math.Min(first, health.DueAt);
            }
        }

        return first == long.MaxValue ? null : first <= now ? TimeSpan.Zero : time.GetElapsedTime(now, first);
    }

    /// <summary>A probe ended. True when the endpoint goes out of use by it, false when it comes back, null when nothing changes.</summary>
    public bool? Record(BalancedEndpoint endpoint, ProbeResult result)
    {
        // Gone, or asked otherwise meanwhile.
        if (_settings is not { } settings || !_healths.TryGetValue(endpoint, out var health) || !health.IsRunning)
        {
            return null;
        }

        health.IsRunning = false;
        if (result.End == ProbeEnd.NotSent)
        {
            return null;
        }

        var first = !health.IsKnown;
        health.IsKnown = true;
        var good = result.End == ProbeEnd.Good;
        health.InRow = health.LastGood == good || first ? health.InRow + 1 : 1;
        health.LastGood = good;
        if (good)
        {
            if (endpoint.ProbeFailing && health.InRow >= settings.HealthyThreshold)
            {
                endpoint.ProbeFailing = false;
                return false;
            }

            return null;
        }

        if (!endpoint.ProbeFailing && (first || result.End == ProbeEnd.Refused || health.InRow >= settings.UnhealthyThreshold))
        {
            endpoint.ProbeFailing = true;
            return true;
        }

        return null;
    }

    /// <summary>By value: an update that says the same again keeps what is known.</summary>
    private static bool SameProbe(HealthProbe a, HealthProbe b) => (a, b) is (HealthProbe.Http x, HealthProbe.Http y)
        ? (x.Path, x.Host) == (y.Path, y.Host) && x.Statuses.SequenceEqual(y.Statuses)
        : a == b;

    private long Next(long now) => now + Ticks((_settings!.Interval < Longest ? _settings.Interval : Longest) * (1 - Jitter + (2 * Jitter * random.NextDouble())));

    private long Ticks(TimeSpan span) => (long)(span.TotalSeconds * time.TimestampFrequency);

    private sealed class Health
    {
        public long DueAt { get; set; }

        public bool IsRunning { get; set; }

        public bool IsKnown { get; set; }

        public bool LastGood { get; set; }

        /// <summary>Probes with the latest outcome.</summary>
        public int InRow { get; set; }
    }
}

/// <summary>What one probe found.</summary>
/// <param name="Detail">For people: what was asked and what came.</param>
internal readonly record struct ProbeResult(ProbeEnd End, string Detail);

/// <summary>How a probe ended.</summary>
internal enum ProbeEnd
{
    Good,

    /// <summary>A bad answer, or none in time.</summary>
    Bad,

    /// <summary>Nobody listens there: counts at once.</summary>
    Refused,

    /// <summary>It could not be asked, for a reason on our side: says nothing.</summary>
    NotSent,
}
