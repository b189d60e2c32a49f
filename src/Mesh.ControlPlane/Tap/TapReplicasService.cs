using Grpc.Core;
using Mesh.ControlPlane.Model;
using Mesh.Protos.Tap;

namespace Mesh.ControlPlane.Tap;

/// <summary>What other replicas ask of the data planes that attend here.</summary>
internal sealed class TapReplicasService(TapHub hub, DenialStore denials, Stopping stopping, TimeProvider time, IServiceProvider services) : TapReplicas.TapReplicasBase
{
    private const int MostPerMessage = 128;
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Gather = TimeSpan.FromMilliseconds(100);

    /// <inheritdoc/>
    public override async Task Watch(IAsyncStreamReader<WatchAsked> requestStream, IServerStreamWriter<WatchSeen> responseStream, ServerCallContext context)
    {
        Check(context);
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, stopping.Token);
        try
        {
            if (!await requestStream.MoveNext(ends.Token))
            {
                return;
            }

            var asked = requestStream.Current;
            using var run = hub.Begin(TapQuestions.Read(asked.Question ?? new Question(), asked.MaxPerSecond))
                ?? throw new RpcException(new Status(StatusCode.ResourceExhausted, $"{TapHub.MostTaps} taps run here already."));
            Take(run, asked);
            var hearing = HearAsync(run, requestStream, ends.Token);
            var telling = TellAsync(run, responseStream, ends.Token);
            var first = await Task.WhenAny(hearing, telling);
            await ends.CancelAsync();
            await Task.WhenAll(hearing, telling).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await first;
        }
        catch (Exception e) when (ends.IsCancellationRequested && e is OperationCanceledException or IOException or InvalidOperationException)
        {
            // Who asked has gone, or we are going.
        }
    }

    /// <inheritdoc/>
    public override Task<HurryTold> HurryAll(Hurry request, ServerCallContext context)
    {
        Check(context);
        hub.HurryHere(TimeSpan.FromMilliseconds(request.LastsMs));
        return Task.FromResult(new HurryTold());
    }

    /// <inheritdoc/>
    public override Task<DenialsKept> Denials(DenialsAsked request, ServerCallContext context)
    {
        Check(context);
        var kept = new DenialsKept { ReachesBackToUnixMs = denials.ReachesBackTo.ToUnixTimeMilliseconds() };
        var until = request.ToUnixMs is > 0 and < 253_402_300_799_000 ? DateTimeOffset.FromUnixTimeMilliseconds(request.ToUnixMs) : DateTimeOffset.MaxValue;
        kept.Items.AddRange(denials.Between(time.GetUtcNow() - DenialStore.Kept, until)
            .TakeWhile(d => d.At.ToUnixTimeMilliseconds() >= request.FromUnixMs).Take(DenialStore.MostAnswered).Select(TapJson.Write));
        return Task.FromResult(kept);
    }

    private static void Take(TapRun run, WatchAsked asked)
    {
        run.MaxPerSecond = asked.MaxPerSecond;
        run.AttendElsewhere = [.. asked.Attending];
    }

    private static async Task HearAsync(TapRun run, IAsyncStreamReader<WatchAsked> asked, CancellationToken cancellationToken)
    {
        while (await asked.MoveNext(cancellationToken))
        {
            Take(run, asked.Current);
        }
    }

    private async Task TellAsync(TapRun run, IServerStreamWriter<WatchSeen> to, CancellationToken cancellationToken)
    {
        var arrangedAt = 0L;
        using var timer = new PeriodicTimer(Gather, time);
        do
        {
            var due = arrangedAt == 0 || time.GetElapsedTime(arrangedAt) >= Second;
            if (due)
            {
                arrangedAt = time.GetTimestamp();
                run.Arrange();
            }

            var seen = new WatchSeen();
            while (seen.Events.Count < MostPerMessage && run.Events.TryRead(out var next))
            {
                seen.Events.Add(TapJson.Write(next));
            }

            if (due || seen.Events.Count > 0)
            {
                var totals = run.Totals;
                (seen.DataPlanes, seen.Seen, seen.Sent, seen.Dropped) = (totals.DataPlanes, totals.Seen, totals.Sent, totals.Dropped);
                seen.Attending.AddRange(hub.Attending(hub.Index));
                seen.Asked.AddRange(run.Asked);
                await to.WriteAsync(seen, cancellationToken);
            }
        }
        while (await timer.WaitForNextTickAsync(cancellationToken));
    }

    private void Check(ServerCallContext context)
    {
        if (services.GetService<IReplicaPeers>() is not { } peers || !peers.IsReplica(context.RequestHeaders))
        {
            throw new RpcException(new Status(StatusCode.PermissionDenied, "Only replicas of this control plane ask that."));
        }
    }
}
