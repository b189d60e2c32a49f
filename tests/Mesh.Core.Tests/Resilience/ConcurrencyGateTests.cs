using Mesh.Config;
using Mesh.Resilience;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Core.Tests.Resilience;

public sealed class ConcurrencyGateTests
{
    private readonly FakeTimeProvider _time = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Enter_Full_WaitsInOrderOfArrival()
    {
        var gate = Gate(1, 3);
        Assert.True(gate.TryEnter());
        var waiting = Enumerable.Range(0, 3).Select(_ => gate.EnterAsync(Token).AsTask()).ToArray();
        Assert.Equal((1, 3), (gate.Inside, gate.Waiting));
        Assert.Equal(Admission.QueueFull, await gate.EnterAsync(Token));

        for (var i = 0; i < waiting.Length; i++)
        {
            Assert.All(waiting[i..], w => Assert.False(w.IsCompleted));
            gate.Exit();
            Assert.Equal(Admission.Entered, await waiting[i]);
            Assert.Equal((1, 2 - i), (gate.Inside, gate.Waiting));
        }

        gate.Exit();
        Assert.Equal((0, 0), (gate.Inside, gate.Waiting));
    }

    [Fact]
    public async Task TryEnter_OthersWait_DoesNotOvertake()
    {
        var gate = Gate(2, 2);
        Assert.True(gate.TryEnter());
        Assert.True(gate.TryEnter());
        var first = gate.EnterAsync(Token).AsTask();

        gate.Exit();

        Assert.Equal(Admission.Entered, await first);
        Assert.False(gate.TryEnter());
    }

    [Fact]
    public async Task Enter_LongerThanTheTimeout_TimesOutAndItsPlaceIsFree()
    {
        var gate = Gate(1, 1, seconds: 2);
        Assert.True(gate.TryEnter());
        var waiting = gate.EnterAsync(Token).AsTask();
        _time.Advance(TimeSpan.FromSeconds(1.9));
        Assert.False(waiting.IsCompleted);

        _time.Advance(TimeSpan.FromSeconds(0.1));

        Assert.Equal(Admission.TimedOut, await waiting);
        Assert.Equal((1, 0), (gate.Inside, gate.Waiting));
        gate.Exit();
        Assert.True(gate.TryEnter());
    }

    [Fact]
    public async Task Enter_CallerLeaves_LeavesAtOnceAndTheNextMovesUp()
    {
        var gate = Gate(1, 2);
        Assert.True(gate.TryEnter());
        using var caller = new CancellationTokenSource();
        var leaves = gate.EnterAsync(caller.Token).AsTask();
        var stays = gate.EnterAsync(Token).AsTask();

        await caller.CancelAsync();

        Assert.Equal(Admission.CallerLeft, await leaves);
        Assert.Equal(1, gate.Waiting);
        gate.Exit();
        Assert.Equal(Admission.Entered, await stays);
        Assert.Equal(Admission.CallerLeft, await gate.EnterAsync(caller.Token));
    }

    [Fact]
    public async Task Settings_Raised_LetsInWhoeverWaits()
    {
        var gate = Gate(1, 5);
        Assert.True(gate.TryEnter());
        var waiting = Enumerable.Range(0, 4).Select(_ => gate.EnterAsync(Token).AsTask()).ToArray();

        gate.Settings = new ServerConcurrency(3, 5, TimeSpan.FromSeconds(1));

        Assert.Equal([Admission.Entered, Admission.Entered], await Task.WhenAll(waiting[..2]));
        Assert.Equal((3, 2), (gate.Inside, gate.Waiting));
        Assert.False(waiting[2].IsCompleted);
    }

    [Fact]
    public async Task Settings_Lowered_NobodyEntersUntilEnoughHaveLeft()
    {
        var gate = Gate(3, 1);
        Assert.True(gate.TryEnter() && gate.TryEnter() && gate.TryEnter());
        var waiting = gate.EnterAsync(Token).AsTask();

        gate.Settings = new ServerConcurrency(1, 1, TimeSpan.FromSeconds(1));
        gate.Exit();
        gate.Exit();
        Assert.False(waiting.IsCompleted);
        Assert.Equal(1, gate.Inside);
        gate.Exit();

        Assert.Equal(Admission.Entered, await waiting);
        Assert.Equal((1, 0), (gate.Inside, gate.Waiting));
    }

    [Fact]
    public async Task Gate_ManyThreads_NeverMoreInsideAndNothingIsLost()
    {
        const int most = 3;
        var gate = new ConcurrencyGate(new ServerConcurrency(most, 1_000, TimeSpan.FromMinutes(5)), TimeProvider.System);
        var (inside, highest, served, left) = (0, 0, 0, 0);
        await Task.WhenAll(Enumerable.Range(0, 16).Select(seed => Task.Run(
            async () =>
            {
                var random = new Random(seed);
                for (var i = 0; i < 2_000; i++)
                {
                    using var caller = new CancellationTokenSource();
                    var entering = gate.TryEnter() ? new(Admission.Entered) : gate.EnterAsync(caller.Token);
                    if (random.Next(4) == 0)
                    {
                        await caller.CancelAsync();
                    }

                    if (await entering != Admission.Entered)
                    {
                        Interlocked.Increment(ref left);
                        continue;
                    }

                    var now = Interlocked.Increment(ref inside);
                    for (var seen = Volatile.Read(ref highest); now > seen; seen = Volatile.Read(ref highest))
                    {
                        Interlocked.CompareExchange(ref highest, now, seen);
                    }

                    await Task.Yield();
                    Interlocked.Increment(ref served);
                    Interlocked.Decrement(ref inside);
                    gate.Exit();
                }
            },
            TestContext.Current.CancellationToken)));

        Assert.Equal((0, 0), (gate.Inside, gate.Waiting));
        Assert.Equal(16 * 2_000, served + left);
        Assert.InRange(highest, 1, most);
    }

    [Fact]
    public void EnterAndExit_Room_AllocatesNothing()
    {
        var gate = Gate(2, 0);
        gate.TryEnter();
        gate.Exit();
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1_000; i++)
        {
            gate.TryEnter();
            gate.Exit();
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    private ConcurrencyGate Gate(int requests, int queue, int seconds = 1) => new(new ServerConcurrency(requests, queue, TimeSpan.FromSeconds(seconds)), _time);
}
