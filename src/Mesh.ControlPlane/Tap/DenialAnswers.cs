using Grpc.Core;
using Mesh.ControlPlane.Model;
using Mesh.Protos.Tap;

namespace Mesh.ControlPlane.Tap;

/// <param name="Items">Newest first.</param>
/// <param name="Partial">Replicas whose part is missing, and why.</param>
internal sealed record DenialAnswer(DateTimeOffset ReachesBackTo, IReadOnlyList<DenialItem> Items, IReadOnlyList<(string Replica, string Why)> Partial);

/// <summary>Refusals that were reported to any replica. Thread-safe.</summary>
internal sealed class DenialAnswers(DenialStore store, IReplicaPeers? peers, TimeProvider time)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    /// <summary>Replicas' clocks differ: what ends so shortly ago has no end.</summary>
    private static readonly TimeSpan StillNow = TimeSpan.FromSeconds(15);

    public async Task<DenialAnswer> BetweenAsync(DateTimeOffset from, DateTimeOffset to, CancellationToken cancellationToken)
    {
        to = time.GetUtcNow() - to < StillNow ? DateTimeOffset.MaxValue : to;
        var others = peers?.Others ?? [];
        var answers = await Task.WhenAll(others.Select(o => AskAsync(o, from, to, cancellationToken)));
        var kept = answers.Where(a => a.Kept is not null).Select(a => a.Kept!).ToList();
        return new DenialAnswer(
            kept.Select(k => DateTimeOffset.FromUnixTimeMilliseconds(k.ReachesBackToUnixMs)).Append(store.ReachesBackTo).Max(),
            [
                .. store.Between(from, to).Concat(kept.SelectMany(k => k.Items).Select(TapJson.Read<DenialItem>).OfType<DenialItem>())
                    .OrderByDescending(d => d.At).Take(DenialStore.MostAnswered),
            ],
            [.. answers.Where(a => a.Why is not null).Select(a => (a.Replica, a.Why!))]);
    }

    private async Task<(string Replica, DenialsKept? Kept, string? Why)> AskAsync(ReplicaPeer other, DateTimeOffset from, DateTimeOffset to, CancellationToken cancellationToken)
    {
        if (other.Calls is null)
        {
            return (other.Name, null, other.Problem ?? "it is not known where it is");
        }

        using var limit = new CancellationTokenSource(Patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            return (other.Name, await new TapReplicas.TapReplicasClient(other.Calls).DenialsAsync(new DenialsAsked { FromUnixMs = from.ToUnixTimeMilliseconds(), ToUnixMs = to == DateTimeOffset.MaxValue ? 0 : to.ToUnixTimeMilliseconds() }, cancellationToken: either.Token), null);
        }
        catch (RpcException e) when (!cancellationToken.IsCancellationRequested)
        {
            return (other.Name, null, limit.IsCancellationRequested ? $"no answer within {Patience.TotalSeconds:0} s" : $"{e.StatusCode}: {e.Status.Detail}");
        }
    }
}
