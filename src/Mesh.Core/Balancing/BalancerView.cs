namespace Mesh.Balancing;

/// <summary>Who may be picked, as it was when last looked at. Immutable.</summary>
/// <param name="changes">How many changes of endpoints it knows of.</param>
/// <param name="until">Timestamp from which somebody may be back.</param>
internal sealed class BalancerView(int changes, long until, BalancerView.Level[] levels, bool panics, bool failsOver, bool leavesNear)
{
    public static BalancerView Empty { get; } = new(-1, long.MinValue, [], false, false, false);

    public int Changes => changes;

    /// <summary>The priorities with somebody in, first in line first.</summary>
    public Level[] Levels => levels;

    /// <summary>Endpoints are used although they are not healthy.</summary>
    public bool Panics => panics;

    /// <summary>The first priority does not take all calls.</summary>
    public bool FailsOver => failsOver;

    /// <summary>The nearest endpoints do not take all calls.</summary>
    public bool LeavesNear => leavesNear;

    public bool IsCurrent(int changesNow, long now) => changes == changesNow && now < until;

    /// <summary>The hash decides between priorities, so that equal calls meet in one.</summary>
    public bool ByHash { get; init; }

    /// <summary>The level that takes this call.</summary>
    public Level Draw(Random random, ulong hash)
    {
        if (levels[0].UpTo >= 1)
        {
            return levels[0];
        }

        var point = ByHash ? hash % 100_000 / 100_000.0 : random.NextDouble();
        for (var i = 0; i < levels.Length - 1; i++)
        {
            if (point < levels[i].UpTo)
            {
                return levels[i];
            }
        }

        return levels[^1];
    }

    /// <summary>Looks at every endpoint. One caller at a time.</summary>
    /// <param name="settings">Panic threshold (0–100) and overprovisioning, both in percent.</param>
    /// <param name="spilled">See <see cref="PriorityEndpoints.Group"/>.</param>
    public static BalancerView Look(
        BalancedEndpoint[] all, PriorityEndpoints[] priorities, (int PanicThreshold, int Overprovisioning, bool ByHash) settings, int changes, long now, Action<long> spilled)
    {
        var until = long.MaxValue;
        foreach (var endpoint in all)
        {
            if (!endpoint.Observe(now))
            {
                until = Math.Min(until, Next(endpoint, now));
            }
        }

        // Who asked for less calls comes back when nobody else works.
        var start = Any(priorities, LeftOut.Unusable) ? LeftOut.Unusable : LeftOut.Unhealthy;
        var loads = new double[priorities.Length];
        var enough = LoadShares.Cascade([.. priorities.Select(p => new PartHealth(p.Count(start), p.All))], settings.Overprovisioning, loads);
        var leftOut = new LeftOut[priorities.Length];
        Array.Fill(leftOut, start);
        if (!enough)
        {
            Panic(priorities, settings.PanicThreshold, start, leftOut, loads);
        }

        var (levels, leavesNear) = LevelsOf(priorities, leftOut, loads, settings.Overprovisioning, spilled);
        var panics = priorities.Where((p, i) => p.Listed.Any(e => leftOut[i].Took(e) && !e.SeenHealthy)).Any();
        var failsOver = priorities.Length > 1 && loads[0] < 1;
        return new BalancerView(changes, until, levels, panics, failsOver, leavesNear) { ByHash = settings.ByHash };
    }

    /// <summary>Decides where health no longer counts, as Envoy does: only when all priorities together cannot carry the calls.</summary>
    private static void Panic(PriorityEndpoints[] priorities, int threshold, LeftOut start, LeftOut[] leftOut, double[] loads)
    {
        for (var i = 0; i < priorities.Length; i++)
        {
            if (priorities[i].CountHealthy() * 100L < (long)threshold * priorities[i].All)
            {
                leftOut[i] = start == LeftOut.Unusable ? LeftOut.Overloaded : LeftOut.Nobody;
            }
        }

        // Never an empty pick, though panic is off.
        if (Array.TrueForAll(priorities, p => p.CountHealthy() == 0))
        {
            Array.Fill(leftOut, Any(priorities, LeftOut.Overloaded) ? LeftOut.Overloaded : LeftOut.Nobody);
        }

        if (Array.TrueForAll(leftOut, l => l != start))
        {
            // Health says nothing any more: by size.
            var total = (double)Math.Max(1, priorities.Select((p, i) => p.Count(leftOut[i])).Sum());
            for (var i = 0; i < loads.Length; i++)
            {
                loads[i] = priorities[i].Count(leftOut[i]) / total;
            }
        }
    }

    private static bool Any(PriorityEndpoints[] priorities, LeftOut leftOut) => Array.Exists(priorities, p => p.Count(leftOut) > 0);

    private static (Level[] Levels, bool LeavesNear) LevelsOf(
        PriorityEndpoints[] priorities, LeftOut[] leftOut, double[] loads, int overprovisioning, Action<long> spilled)
    {
        var levels = new List<Level>();
        var (sum, leavesNear) = (0.0, false);
        for (var i = 0; i < priorities.Length; i++)
        {
            if (priorities[i].Count(leftOut[i]) > 0)
            {
                sum += loads[i];
                levels.Add(new Level(priorities[i].Group(leftOut[i], overprovisioning, spilled, out var leaves), leftOut[i], sum));
                leavesNear |= leaves;
            }
        }

        // A priority whose share nobody in it can take leaves it to the others.
        return ([.. levels.Select(l => l with { UpTo = sum == 0 ? 1 : l.UpTo / sum })], leavesNear);
    }

    private static long Next(BalancedEndpoint endpoint, long now)
    {
        var (ejected, steered) = (endpoint.EjectedUntil, endpoint.SteeredUntil);
        return Math.Min(ejected > now ? ejected : long.MaxValue, steered > now ? steered : long.MaxValue);
    }

    /// <summary>A priority that takes part.</summary>
    /// <param name="UpTo">Its own share of the calls and that of all before it, 0–1.</param>
    internal sealed record Level(EndpointGroup Group, LeftOut LeftOut, double UpTo)
    {
        public BalancedEndpoint? Pick(in PickRequest request) => Group.Pick(request.With(LeftOut));
    }
}
