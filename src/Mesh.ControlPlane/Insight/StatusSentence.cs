using System.Globalization;

namespace Mesh.ControlPlane.Insight;

/// <summary>How the mesh is, in one sentence.</summary>
internal sealed record MeshStatus(HealthLevel Level, string Sentence)
{
    /// <param name="basis">Of which time it is said.</param>
    /// <param name="services">Worst first.</param>
    /// <param name="changes">Newest first.</param>
    public static MeshStatus Of(InsightBasis basis, IReadOnlyList<ServiceHealth> services, IReadOnlyList<MeshChange> changes)
    {
        var past = basis.Time.IsPast;
        if (past && basis.ReachesBackTo >= basis.Time.To)
        {
            return new MeshStatus(HealthLevel.Idle, $"Nothing is known of that time: numbers reach back to {At(basis.ReachesBackTo, basis.Time.Now)}.");
        }

        if (services.Count == 0)
        {
            return new MeshStatus(HealthLevel.Idle, past ? "Nobody called any service then." : "No service is known yet.");
        }

        var (is1, are) = past ? ("was", "were") : ("is", "are");

        var bad = services.Where(s => s.Level >= HealthLevel.Degraded).ToList();
        var level = services.Max(s => s.Level);
        if (bad.Count == 0)
        {
            var called = services.Count(s => s.Level == HealthLevel.Ok);
            return new MeshStatus(level, called == 0
                ? $"{Services(services.Count)}, and nobody {(past ? "called" : "calls")} {(services.Count == 1 ? "it" : "them")}."
                : called == services.Count ? (called == 1 ? $"The one service {is1} well." : $"All {called} services {are} well.")
                : $"{Services(called)} {(called == 1 ? is1 : are)} well, {services.Count - called} idle.");
        }

        var failing = bad.Count(s => s.Level == HealthLevel.Failing);
        var head = failing > 0 && failing < bad.Count
            ? $"{failing} of {services.Count} services {(failing == 1 ? is1 : are)} failing, {bad.Count - failing} degraded"
            : $"{bad.Count} of {services.Count} services {(bad.Count == 1 ? is1 : are)} {(failing > 0 ? "failing" : "degraded")}";
        // Whoever calls what is broken fails as much: of those who are as bad, the one to name is the one where something changed.
        var named = bad.FirstOrDefault(s => s.Level == bad[0].Level && Cause(s, changes) is { Service: not null }) ?? bad[0];
        return new MeshStatus(level, $"{head}: {About(named, changes, basis.Time)}.");
    }

    private static MeshChange? Cause(ServiceHealth service, IReadOnlyList<MeshChange> changes) => service.Reasons is [var first, ..] ? LikelyCause.Of(service.Namespace, service.Name, first.Since, changes) : null;

    private static string About(ServiceHealth worst, IReadOnlyList<MeshChange> changes, InsightTime time)
    {
        var reason = worst.Reasons[0];
        // What was then may be over by now.
        var since = reason.Since is not { } began ? string.Empty
            : time.IsPast ? $" from {At(began, time.Now)} on" : string.Create(CultureInfo.InvariantCulture, $" since {began.UtcDateTime:HH:mm} UTC");
        var cause = Cause(worst, changes) is { } change ? $", after {change.What}" : string.Empty;
        return $"{worst.Name} {(time.IsPast ? PastPredicate(reason, worst) : Predicate(reason, worst))}{since}{cause}";
    }

    private static string Predicate(Reason reason, ServiceHealth service) => reason.Code switch
    {
        ReasonCodes.Failures => $"fails {HealthRules.Percent(HealthRules.FailureShare(service.Golden))}",
        ReasonCodes.Latency => $"is slow ({reason.Text})",
        ReasonCodes.NoEndpoints => $"has {(service.Endpoints is { Total: 0 } ? "no endpoint" : "no ready endpoint")}",
        ReasonCodes.Ejected => $"has ejected endpoints ({reason.Text})",
        ReasonCodes.Denied => $"denies calls ({reason.Text})",
        ReasonCodes.Nack => $"has a client that refuses its configuration ({reason.Text})",
        ReasonCodes.Certificate => $"has a certificate that is not renewed ({reason.Text})",
        _ => $"({reason.Text})",
    };

    private static string PastPredicate(Reason reason, ServiceHealth service) => reason.Code switch
    {
        ReasonCodes.Failures => $"failed {HealthRules.Percent(HealthRules.FailureShare(service.Golden))}",
        ReasonCodes.Latency => $"was slow ({reason.Text})",
        ReasonCodes.Ejected => $"had ejected endpoints ({reason.Text})",
        ReasonCodes.Denied => $"denied calls ({reason.Text})",
        _ => $"({reason.Text})",
    };

    /// <summary>The day too, where it is another one.</summary>
    private static string At(DateTimeOffset at, DateTimeOffset now) =>
        at.UtcDateTime.ToString(at.UtcDateTime.Date == now.UtcDateTime.Date ? "HH:mm 'UTC'" : "yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture);

    private static string Services(int count) => count == 1 ? "1 service" : $"{count} services";
}

/// <summary>Which change most likely brought a trouble about. Pure.</summary>
internal static class LikelyCause
{
    /// <summary>Measurements come in intervals: what changed shortly after the trouble's first point may still be before it.</summary>
    private static readonly TimeSpan Slack = TimeSpan.FromSeconds(20);

    private static readonly TimeSpan Reach = TimeSpan.FromMinutes(3);

    /// <param name="since">When the trouble began; null: nothing can be said.</param>
    /// <param name="changes">Newest first.</param>
    public static MeshChange? Of(string ns, string name, DateTimeOffset? since, IReadOnlyList<MeshChange> changes) => since is not { } began ? null
        : changes.Where(c => c.At >= began - Reach && c.At <= began + Slack && Nearness(c, ns, name) > 0 && !c.Recovery)
            .OrderByDescending(c => Nearness(c, ns, name)).ThenBy(c => (c.At - began).Duration()).FirstOrDefault();

    /// <summary>0 is nothing to do with it.</summary>
    private static int Nearness(MeshChange change, string ns, string name) => change switch
    {
        { Service: { } service } => service == name && change.Namespace == ns ? change.Kind is ChangeKinds.Fault or ChangeKinds.Config ? 4 : 3 : 0,
        { Namespace: { } other } => other == ns ? 2 : 0,
        { Kind: ChangeKinds.Root or ChangeKinds.ControlPlane or ChangeKinds.Config } => 1,
        _ => 0,
    };
}
