namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>What a step of a root's change is decided by.</summary>
/// <param name="TrustVersion">The trust bundle in force: revocations and all.</param>
/// <param name="RootsVersion">Its roots alone.</param>
/// <param name="OldRoots">Ids of roots that sign no more.</param>
/// <param name="Leaves">Certificates that are not over and not revoked.</param>
internal sealed record RotationFacts(
    RotationPhase Phase, string TrustVersion, string RootsVersion, IReadOnlyCollection<string> OldRoots, IReadOnlyList<TrustHolder> Holders, IReadOnlyList<Issuance> Leaves);

/// <summary>One workload that a change of the root waits for.</summary>
/// <param name="For"><c>roots</c>: it has not taken the roots; <c>leaf</c>: a certificate of it is under the old root.</param>
/// <param name="Until">When it is waited for no longer; null: until it has answered or gone.</param>
internal sealed record RotationWait(string Identity, string Node, bool Connected, string For, DateTimeOffset? Until);

/// <summary>Decides whether a change of the root goes on. Pure.</summary>
internal static class RotationStep
{
    /// <summary>Whom the phase waits for; with nobody left it is over.</summary>
    public static IReadOnlyList<RotationWait> Waits(RotationFacts facts) => facts.Phase switch
    {
        RotationPhase.Distributing => [.. Unaware(facts)],
        RotationPhase.Issuing => [.. Unaware(facts), .. UnderOldRoot(facts)],
        RotationPhase.Retiring => [.. NotAnswered(facts)],
        _ => [],
    };

    /// <summary>Everyone who may not trust all roots in force: who is connected has said so; any other holds what came with its newest certificate.</summary>
    private static IEnumerable<RotationWait> Unaware(RotationFacts facts)
    {
        var answered = new HashSet<(string, string)>();
        foreach (var holder in facts.Holders.Where(h => h.Asks))
        {
            answered.Add((holder.Identity.ToString(), holder.Node));
        }

        var connected = facts.Holders.Select(h => (h.Identity.ToString(), h.Node)).ToHashSet();
        return NotAnswered(facts).Concat(
            from leaf in facts.Leaves
            group leaf by (leaf.Identity, leaf.Node) into workload
            where !answered.Contains(workload.Key)
            where Issuance.Newest(workload).Roots != facts.RootsVersion
            orderby workload.Key
            select new RotationWait(workload.Key.Identity, workload.Key.Node, connected.Contains(workload.Key), "roots", workload.Max(l => l.NotAfter)));
    }

    private static IEnumerable<RotationWait> NotAnswered(RotationFacts facts) =>
        from holder in facts.Holders
        where holder.Asks && holder.Held != facts.TrustVersion
        select new RotationWait(holder.Identity.ToString(), holder.Node, true, "roots", null);

    /// <summary>Lines of versions with one root name none: that was the old one.</summary>
    private static IEnumerable<RotationWait> UnderOldRoot(RotationFacts facts)
    {
        var connected = facts.Holders.Select(h => (h.Identity.ToString(), h.Node)).ToHashSet();
        return
            from leaf in facts.Leaves
            where leaf.Root is null || facts.OldRoots.Contains(leaf.Root)
            group leaf by (leaf.Identity, leaf.Node) into workload
            orderby workload.Key
            select new RotationWait(workload.Key.Identity, workload.Key.Node, connected.Contains(workload.Key), "leaf", workload.Max(l => l.NotAfter));
    }
}
