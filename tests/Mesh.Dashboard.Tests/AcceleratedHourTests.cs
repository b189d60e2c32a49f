using System.Diagnostics;
using System.Text.Json;
using Mesh.Testing;
using Microsoft.Playwright;
using Xunit;

namespace Mesh.Dashboard.Tests;

/// <summary>An hour that passes as fast as it can be told, and in the midst of which the control plane is killed: neither the page nor the control plane keeps what it no longer needs, or loses what it was told.</summary>
public sealed class AcceleratedHourTests(Chromium chromium)
{
    private const int Steps = 120;

    /// <summary>Ten minutes.</summary>
    private const int Between = 20;

    /// <summary>Of the steps, after which the control plane is killed.</summary>
    private const int Killed = 70;

    /// <summary>The smallest object of .NET, bytes.</summary>
    private const int SmallestObject = 24;

    /// <summary>Counts what the page is told, however it comes.</summary>
    private const string Listening = """
        globalThis.told = 0;
        for (const [on, name] of [[JSON, 'parse'], [Response.prototype, 'json']]) {
          const real = on[name];
          on[name] = function (...words) { globalThis.told++; return real.apply(this, words); };
        }
        """;

    private static readonly (string Hash, string Shows)[] _screens =
        [("#/service/shop/svc-3", "Who calls it"), ("#/topology", "wider: more calls"), ("#/security", "Mutual TLS"), ("#/now", "marked on every chart")];

    [Fact]
    public async Task AnHourOfFiveHundredSeriesOfTenWorkloads_AndAKill_LeaveMemoryFlatAndEachCallOnce()
    {
        var took = Stopwatch.StartNew();
        // In the past, so that what is issued to the workloads is good by every clock.
        await using var mesh = await BusyMesh.StartAsync(DateTimeOffset.UtcNow - TimeSpan.FromHours(1));
        await mesh.PassAsync();
        await using var visit = await chromium.OpenAsync(mesh.SignedIn, clock: mesh.Now.UtcDateTime, script: Listening);
        await visit.SeesAsync("svc-3");

        List<Alive> alive = [];
        var (lost, lastWrite) = (0L, DateTimeOffset.MaxValue);
        for (var step = 1; step <= Steps; step++)
        {
            await mesh.PassAsync();
            await visit.Page.Clock.RunForAsync((long)BusyMesh.Interval.TotalMilliseconds);
            if (step == Killed)
            {
                (lastWrite, lost) = (mesh.Now, await mesh.KillAsync());
                await TurnUntilAsync(visit, told: true);
                await mesh.ComeBackAsync();
                await TurnUntilAsync(visit, told: false);
                TestContext.Current.TestOutputHelper?.WriteLine($"killed and back after {took.Elapsed.TotalSeconds:0} s by the clock on the wall; {lost} calls were told since the last write");
            }

            if (step % (Between / _screens.Length) == 0)
            {
                var (hash, shows) = _screens[(step / (Between / _screens.Length) - 1) % _screens.Length];
                await visit.GoAsync(hash);
                await visit.SeesAsync(shows);
            }

            if (step % Between == 0)
            {
                alive.Add(await AliveAsync(visit.Page));
                TestContext.Current.TestOutputHelper?.WriteLine($"after {step * BusyMesh.Interval.TotalMinutes:0} min, {took.Elapsed.TotalSeconds:0} s by the clock on the wall: {alive[^1]}");
            }
        }

        visit.HasNoProblem();

        // Whatever was acknowledged and written is there, once; what was not yet written is missing, and that is said.
        var golden = await mesh.AskAsync("/api/v1/golden?by=workload&view=client&from=-7200");
        Assert.Equal(mesh.Calls - lost, golden.GetProperty("items").EnumerateArray().Sum(item => item.GetProperty("requests").GetInt64()));
        Assert.True(lost > 0, "Nothing was told between the last write and the kill.");
        var gap = Assert.Single(golden.GetProperty("gaps").EnumerateArray(), g => g.GetProperty("who").GetString() == "control plane");
        Assert.Equal(lastWrite, gap.GetProperty("from").GetDateTimeOffset(), TimeSpan.FromMilliseconds(1));

        // In the first ten minutes buffers fill and code is compiled. What is alive at a moment differs a little, so the most of what comes next counts against the least of the end.
        var (first, last) = (alive[1..3], alive[4..]);
        var told = last[0].Told - first[^1].Told;
        Assert.True(told >= 2 * Between, $"The page was told only {told} times.");
        Flat("objects", a => a.Objects, told / 2);
        Flat("nodes", a => a.Nodes, told / 2);
        Flat("listeners", a => a.Listeners, told / 2);
        // One object kept of each point that came in would be twice this.
        Flat("bytes of the control plane", a => a.ServerBytes, 2L * Between * BusyMesh.Workloads * BusyWorkload.Series * SmallestObject / 2);

        void Flat(string what, Func<Alive, long> of, long most) =>
            Assert.True(last.Min(of) - first.Max(of) < most, $"More and more {what}: {string.Join(", ", alive.Select(of))}, while the page was told {told} times.");
    }

    /// <summary>The page's clock goes on until it says that it is not connected, or no longer says it.</summary>
    private static async Task TurnUntilAsync(Visit visit, bool told)
    {
        var lost = visit.Page.GetByText("Not connected since");
        await Eventually.Async(
            async () =>
            {
                await visit.Page.Clock.RunForAsync(1_000);
                return await lost.CountAsync() > 0 == told;
            },
            told ? "the page says that it is not connected" : "the page is connected again",
            TimeSpan.FromSeconds(60));
    }

    private static async Task<Alive> AliveAsync(IPage page)
    {
        await using var tools = await Tools.OpenAsync(page);
        var (told, objects) = (await tools.EvaluateAsync("told"), await tools.CountAsync("Object.prototype"));
        await tools.SendAsync("HeapProfiler.collectGarbage");
        var dom = await tools.SendAsync("Memory.getDOMCounters");
        var heap = (await tools.SendAsync("Runtime.getHeapUsage")).GetProperty("usedSize").GetDouble();
        return new Alive(told, objects, dom.GetProperty("nodes").GetInt64(), dom.GetProperty("jsEventListeners").GetInt64(), heap, GC.GetTotalMemory(forceFullCollection: true));
    }

    /// <summary>What is there after garbage was collected.</summary>
    /// <param name="Told">How many documents the page was given so far.</param>
    /// <param name="Objects">Of the page: functions and arrays too.</param>
    private sealed record Alive(long Told, long Objects, long Nodes, long Listeners, double PageBytes, long ServerBytes)
    {
        public override string ToString() => $"{Told} documents told; page {PageBytes / 1e6:0.0} MB, {Objects} objects, {Nodes} nodes, {Listeners} listeners; control plane {ServerBytes / 1e6:0.0} MB";
    }

    /// <summary>Chromium's own tools.</summary>
    private sealed class Tools(ICDPSession session) : IAsyncDisposable
    {
        public static async Task<Tools> OpenAsync(IPage page) => new(await page.Context.NewCDPSessionAsync(page));

        public async Task<JsonElement> SendAsync(string method, Dictionary<string, object>? with = null) => await session.SendAsync(method, with) ?? default;

        public async Task<long> EvaluateAsync(string expression) => (await SendAsync("Runtime.evaluate", new() { ["expression"] = expression })).GetProperty("result").GetProperty("value").GetInt64();

        /// <summary>How many objects have this one among their prototypes; what is garbage does not count.</summary>
        public async Task<long> CountAsync(string prototype)
        {
            await SendAsync("HeapProfiler.collectGarbage");
            var root = Id((await SendAsync("Runtime.evaluate", new() { ["expression"] = prototype })).GetProperty("result"));
            var all = Id((await SendAsync("Runtime.queryObjects", new() { ["prototypeObjectId"] = root })).GetProperty("objects"));
            var counted = await SendAsync("Runtime.callFunctionOn", new() { ["objectId"] = all, ["functionDeclaration"] = "function () { return this.length; }", ["returnByValue"] = true });
            await SendAsync("Runtime.releaseObject", new() { ["objectId"] = all });
            await SendAsync("Runtime.releaseObject", new() { ["objectId"] = root });
            return counted.GetProperty("result").GetProperty("value").GetInt64();

            static string Id(JsonElement remote) => remote.GetProperty("objectId").GetString()!;
        }

        public async ValueTask DisposeAsync() => await session.DetachAsync();
    }
}
