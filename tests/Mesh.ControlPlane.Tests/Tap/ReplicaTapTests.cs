using Grpc.Core;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Tap;
using Mesh.Protos.Tap;
using Mesh.Tap;
using Mesh.Testing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.Tap;

/// <summary>Data planes attend at one replica each; who looks at one sees those of all.</summary>
public sealed class ReplicaTapTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Watch_DataPlanesOfTwoReplicas_AreSeenTogether_AndNoExchangeTwice()
    {
        var (here, there) = (new FakeReplica("here"), new FakeReplica("there"));
        here.Peers.Add(new ReplicaPeer("there", there));
        using var cart = await here.AttendAsync("cart");
        using var pricing = await there.AttendAsync("pricing");
        await Eventually.Async(() => here.Hub.Count == 1 && there.Hub.Count == 1, "both attend");

        await using (var watch = Begin(here))
        {
            await Eventually.Async(async () => await ArrangedAsync(watch) && watch.Totals.DataPlanes == 2, "both are asked", TimeSpan.FromSeconds(30));
            var order = await NextAsync(pricing, o => o.Start?.Server?.Except.Contains("shop/cart") == true);
            await pricing.RequestStream.WriteAsync(new TapReport { Exchanges = { new Exchange { Tap = order.Start.Id, Server = true, PeerName = "unmeshed", Method = "GET", Path = "/far", Status = 200 } } }, Token);
            var mine = await NextAsync(cart, o => o.Start?.Client is not null);
            await cart.RequestStream.WriteAsync(new TapReport { Exchanges = { new Exchange { Tap = mine.Start.Id, PeerName = "pricing", PeerNamespace = "shop", Method = "GET", Path = "/near", Status = 200 } } }, Token);

            var seen = new List<TapEvent> { await watch.Events.ReadAsync(Token), await watch.Events.ReadAsync(Token) };

            Assert.Equal(["/far", "/near"], seen.Select(s => s.Path).Order());
            Assert.Equal(("pricing", "spiffe://cluster.local/ns/shop/sa/pricing"), seen.Where(s => s.Path == "/far").Select(s => (s.Destination, s.Reporter)).Single());
            Assert.Empty(watch.TakeNotices());
        }

        await NextAsync(pricing, o => o.OrderCase == TapOrder.OrderOneofCase.Stop);
    }

    [Fact]
    public async Task Watch_ReplicaIsAway_IsSaidOnce_AndTheRestIsShown()
    {
        var (here, there) = (new FakeReplica("here"), new FakeReplica("there") { IsAway = true });
        here.Peers.Add(new ReplicaPeer("there", there));
        here.Peers.Add(new ReplicaPeer("unknown", null, "it is not known where it is"));
        using var cart = await here.AttendAsync("cart");
        await Eventually.Async(() => here.Hub.Count == 1, "it attends");
        await using var watch = Begin(here);
        var said = new List<string>();
        await Eventually.Async(
            async () =>
            {
                await watch.ArrangeAsync();
                said.AddRange(watch.TakeNotices());
                return said.Count >= 2;
            },
            "both are named");
        await watch.ArrangeAsync();

        Assert.Empty(watch.TakeNotices());
        Assert.Contains(said, s => s.StartsWith("Replica there does not answer (Unavailable: it is away)", StringComparison.Ordinal));
        Assert.Contains(said, s => s.StartsWith("Replica unknown does not answer (it is not known where it is)", StringComparison.Ordinal));
        Assert.Equal(1, watch.Totals.DataPlanes);
    }

    [Fact]
    public async Task Watch_AReplicaLeavesAndAWorkloadsStreamBreaks_GoesOn_AndSaysWhatIsMissingUntilItIsBack()
    {
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        var (here, there) = (new FakeReplica("here", time), new FakeReplica("there", time));
        here.Peers.Add(new ReplicaPeer("there", there));
        await using var cart = new AttendingWorkload(here, "cart", time);
        await using var pricing = new AttendingWorkload(there, "pricing", time);
        await using var watch = new TapWatches(here.Hub, here, time).Begin(new TapQuestion(1000))!;
        var (said, shown, turn) = (new List<string>(), new HashSet<string>(StringComparer.Ordinal), 0);
        await UntilAsync("both are seen", () => shown.IsSupersetOf(["cart 0", "pricing 0"]));
        said.Clear();

        // A replica goes, and with it who attended there; the other one's requests are shown all the while.
        there.IsAway = true;
        there.Stopping.Begin();
        turn = 1;
        await UntilAsync("it is named", () => said.Any(s => s.StartsWith("Replica there does not answer", StringComparison.Ordinal)) && shown.Contains("cart 1"));
        Assert.DoesNotContain("pricing 1", shown);
        Assert.DoesNotContain(said, s => s.StartsWith("Not seen any more", StringComparison.Ordinal));

        // What attended there finds the other one, as a Service's name leads it, and is shown again.
        pricing.Replica = here;
        turn = 2;
        await UntilAsync("it is shown through the other one", () => shown.IsSupersetOf(["cart 2", "pricing 2"]));
        there = new FakeReplica("there", time);
        here.Peers[0] = new ReplicaPeer("there", there);
        await UntilAsync("the replica is back", () => said.Contains("Replica there answers again."));
        said.Clear();

        // A workload's own stream breaks and comes back: by the same look, with nobody asking anew.
        turn = 3;
        cart.Break();
        await UntilAsync("it is named, and then it is back", () => said.Count >= 2 && shown.IsSupersetOf(["cart 3", "pricing 3"]));
        Assert.StartsWith("Not seen any more: cart~1~shop.", said[0], StringComparison.Ordinal);
        Assert.Equal("Seen again: cart~1~shop.", said[1]);
        Assert.Equal(2, watch.Totals.DataPlanes);

        async Task UntilAsync(string what, Func<bool> holds)
        {
            await Eventually.Async(
                async () =>
                {
                    // As who serves it does each second; meanwhile both go on calling.
                    await watch.ArrangeAsync();
                    said.AddRange(watch.TakeNotices());
                    cart.See($"/{turn}");
                    pricing.See($"/{turn}");
                    time.Advance(TimeSpan.FromMilliseconds(200));
                    while (watch.Events.TryRead(out var seen))
                    {
                        shown.Add($"{seen.Source} {seen.Path[1..]}");
                    }

                    return holds();
                },
                $"{what} (said: {string.Join(" | ", said)}; shown: {string.Join(", ", shown)})",
                TimeSpan.FromSeconds(30));
        }
    }

    [Fact]
    public async Task Watch_StrangerAsks_IsRefused()
    {
        var there = new FakeReplica("there") { TakesAnybody = true };
        using var call = new TapReplicas.TapReplicasClient(there).Watch(cancellationToken: Token);
        Assert.Equal(StatusCode.PermissionDenied, (await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(Token))).StatusCode);
    }

    [Fact]
    public async Task HurryAndDenials_GoToAllReplicas()
    {
        var (here, there) = (new FakeReplica("here"), new FakeReplica("there"));
        here.Peers.Add(new ReplicaPeer("there", there));
        here.Peers.Add(new ReplicaPeer("away", new FakeReplica("away") { IsAway = true }));
        using var pricing = await there.AttendAsync("pricing");
        await Eventually.Async(() => there.Hub.Count == 1, "it attends");
        there.Denials.Add("pricing", "shop", [new DenialReport(TimeProvider.System.GetUtcNow(), "10.0.0.9", "GET", "/x", false, "plaintext", "", 4)]);

        new DataPlanes(here.Hub, here, TimeProvider.System).Hurry(TimeSpan.FromSeconds(30));
        var answer = await new DenialAnswers(here.Denials, here, TimeProvider.System).BetweenAsync(DateTimeOffset.UnixEpoch, DateTimeOffset.UtcNow, Token);

        await NextAsync(pricing, o => o.OrderCase == TapOrder.OrderOneofCase.Hurry);
        Assert.Equal(("pricing", "10.0.0.9", "/x", 4), answer.Items.Select(d => (d.Workload, d.Caller, d.Path, d.Count)).Single());
        Assert.Equal("away", Assert.Single(answer.Partial).Replica);
    }

    [Fact]
    public void Shares_TheQuietLeaveTheirPartToTheBusy_AndAllIsGiven()
    {
        Assert.Equal([50, 50], Shares.Divide(100, [null, null]));
        var shares = Shares.Divide(100, [0, 500, 2]);
        Assert.True(shares[0] < 5 && shares[2] < 8 && shares[1] > 90, string.Join(' ', shares));
        Assert.InRange(shares.Sum(), 99.9, 100.1);
        // Everybody can be seen, however many they are.
        Assert.All(Shares.Divide(10, [.. Enumerable.Repeat<double?>(null, 50)]), s => Assert.True(s >= Shares.Least));
        // Nobody asks for anything: it is there for who will.
        Assert.InRange(Shares.Divide(90, [0, 0, 0]).Min(), 29, 31);
    }

    private static TapWatch Begin(FakeReplica replica) => new TapWatches(replica.Hub, replica, TimeProvider.System).Begin(new TapQuestion(100))!;

    private static async Task<bool> ArrangedAsync(TapWatch watch)
    {
        await watch.ArrangeAsync();
        return true;
    }

    private static async Task<TapOrder> NextAsync(AsyncDuplexStreamingCall<TapReport, TapOrder> plane, Func<TapOrder, bool> wanted)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Token);
        limit.CancelAfter(TimeSpan.FromSeconds(30));
        while (await plane.ResponseStream.MoveNext(limit.Token))
        {
            if (wanted(plane.ResponseStream.Current))
            {
                return plane.ResponseStream.Current;
            }
        }

        throw new InvalidOperationException("The stream ended.");
    }
}
