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

    /// <summary>The level that takes this call.</summary>
    /// <param name="byHash">The hash decides, so that equal calls meet in one priority.</param>
    public Level Draw(Random random, ulong hash, bool byHash)
    {
        if (levels[0].UpTo >= 1)
        {
            return levels[0];
        }

        var point = byHash ? hash % 100_000 / 100_000.0 : random.NextDouble();
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
    /// <param name="settings">Panic threshold and overprovisioning, 0–100 and percent.</param>
    /// <param name="spilled">See <see cref="PriorityEndpoints.Group"/>.</param>
    public static BalancerView Look(
        BalancedEndpoint[] all, PriorityEndpoints[] priorities, (int PanicThreshold, int Overprovisioning) settings, int changes, long now, Action<long> spilled)
    {
        var until = long.MaxValue;
        foreach (var endpoint in all)
        {
            if (!endpoint.Observe(now))
            {
                until = Math.Min(until, Next(endpoint, now));
            }
        }

        var usable = priorities.Select(p => p.Count(LeftOut.Unusable, now)).ToArray();
        var loads = new double[priorities.Length];
        var enough = LoadShares.Cascade([.. priorities.Select((p, i) => new PartHealth(usable[i], p.All))], settings.Overprovisioning, loads);
        var leftOut = new LeftOut[priorities.Length];
        Array.Fill(leftOut, LeftOut.Unusable);
        if (!enough)
        {
            Panic(priorities, settings.PanicThreshold, now, leftOut, loads);
        }

        var (levels, leavesNear) = LevelsOf(priorities, leftOut, loads, settings.Overprovisioning, now, spilled);
        var panics = leftOut.Where((l, i) => l != LeftOut.Unusable && priorities[i].Count(l, now) > usable[i]).Any();
        var failsOver = priorities.Length > 1 && loads[0] < 1;
        return new BalancerView(changes, until, levels, panics, failsOver, leavesNear);
    }

    /// <summary>Decides where health no longer counts, as Envoy does: only when all priorities together cannot carry the calls.</summary>
    private static void Panic(PriorityEndpoints[] priorities, int threshold, long now, LeftOut[] leftOut, double[] loads)
    {
        for (var i = 0; i < priorities.Length; i++)
        {
            if (priorities[i].CountHealthy(now) * 100L < (long)threshold * priorities[i].All)
            {
                leftOut[i] = LeftOut.Overloaded;
            }
        }

        // Never an empty pick: when nobody is in although panic is off or all are overloaded, everybody is.
        foreach (var last in new[] { LeftOut.Overloaded, LeftOut.Nobody })
        {
            if (!Enumerable.Range(0, priorities.Length).Any(i => priorities[i].Count(leftOut[i], now) > 0))
            {
                Array.Fill(leftOut, last);
            }
        }

        if (Array.TrueForAll(leftOut, l => l != LeftOut.Unusable))
        {
            // Health says nothing any more: by size.
            var total = (double)Math.Max(1, priorities.Select((p, i) => p.Count(leftOut[i], now)).Sum());
            for (var i = 0; i < loads.Length; i++)
            {
                loads[i] = priorities[i].Count(leftOut[i], now) / total;
            }
        }
    }

    private static (Level[] Levels, bool LeavesNear) LevelsOf(
        PriorityEndpoints[] priorities, LeftOut[] leftOut, double[] loads, int overprovisioning, long now, Action<long> spilled)
    {
        var levels = new List<Level>();
        var (sum, leavesNear) = (0.0, false);
        for (var i = 0; i < priorities.Length; i++)
        {
            if (priorities[i].Count(leftOut[i], now) > 0)
            {
                sum += loads[i];
                levels.Add(new Level(priorities[i].Group(leftOut[i], overprovisioning, now, spilled, out var leaves), leftOut[i], sum));
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
