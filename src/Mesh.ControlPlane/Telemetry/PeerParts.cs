using Grpc.Core;
using Mesh.ControlPlane.Model;
using Mesh.Protos.Telemetry;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>Asks all other replicas at once, each for at most <see cref="Patience"/>; who does not answer is named.</summary>
internal sealed class PeerParts(IReplicaPeers peers, TimeProvider time)
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    public bool HasOthers => peers.Others.Count > 0;

    /// <param name="without">Who did not answer before is not asked again.</param>
    public async Task<(IReadOnlyList<T> Answers, IReadOnlyList<MissingReplica> Missing)> AskAsync<T>(
        Func<Parts.PartsClient, CallOptions, AsyncUnaryCall<T>> ask, CancellationToken cancellationToken, IReadOnlyCollection<MissingReplica>? without = null)
    {
        using var patience = new CancellationTokenSource(Patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        var asked = peers.Others.Where(p => without?.Any(w => w.Replica == p.Name) != true).Select(p => AskAsync(p, ask, either.Token)).ToList();
        var answers = await Task.WhenAll(asked);
        cancellationToken.ThrowIfCancellationRequested();
        return ([.. answers.Where(a => a.Why is null).Select(a => a.Answer!)], [.. answers.Where(a => a.Why is not null).Select(a => new MissingReplica(a.Name, a.Why!))]);
    }

    private static async Task<(string Name, T? Answer, string? Why)> AskAsync<T>(ReplicaPeer peer, Func<Parts.PartsClient, CallOptions, AsyncUnaryCall<T>> ask, CancellationToken cancellationToken)
    {
        if (peer.Calls is null)
        {
            return (peer.Name, default, peer.Problem ?? "It is not known where it is.");
        }

        try
        {
            using var call = ask(new Parts.PartsClient(peer.Calls), new CallOptions(cancellationToken: cancellationToken));
            return (peer.Name, await call.ResponseAsync, null);
        }
        catch (RpcException e)
        {
            return (peer.Name, default, e.StatusCode == StatusCode.Cancelled ? $"It did not answer within {Patience.TotalSeconds:0} s." : $"{e.StatusCode}: {e.Status.Detail}");
        }
        catch (OperationCanceledException)
        {
            return (peer.Name, default, $"It did not answer within {Patience.TotalSeconds:0} s.");
        }
    }
}
