using System.Text.Json.Nodes;
using k8s;
using k8s.LeaderElection;
using k8s.LeaderElection.ResourceLock;
using Mesh.ControlPlane.Cluster;
using Mesh.ControlPlane.Sources.Kubernetes;
using Mesh.Testing;
using Mesh.Testing.Kubernetes;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.Cluster;

public sealed class LeaderLeaseTests : IAsyncLifetime
{
    private const string Ns = "mesh-system";
    private readonly FakeTimeProvider _time = new(DateTimeOffset.UtcNow);
    private readonly List<IAsyncDisposable> _disposables = [];
    private FakeKubeApi _server = null!;

    public async ValueTask InitializeAsync()
    {
        _server = await FakeKubeApi.StartAsync();
        _server.Apply("{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {\"name\": \"mesh-system\"}}");
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var one in Enumerable.Reverse(_disposables))
        {
            await one.DisposeAsync();
        }

        await _server.DisposeAsync();
    }

    [Fact]
    public async Task Acquire_NobodyLeads_LeadsAndSaysSo()
    {
        var a = await StartAsync("a");

        await Eventually.Async(() => a.Lease.IsLeader, "a leads");
        var spec = _server.Get("leases.coordination.k8s.io", Ns, "mesh")["spec"]!;
        Assert.Equal("a", spec["holderIdentity"]!.GetValue<string>());
        Assert.Equal(15, spec["leaseDurationSeconds"]!.GetValue<int>());
        Assert.Equal(0, spec["leaseTransitions"]!.GetValue<int>());
        Assert.Matches(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$", spec["renewTime"]!.GetValue<string>());
    }

    [Fact]
    public async Task Two_OneLeads_AndTheOtherAtOnceWhenItStops()
    {
        var a = await StartAsync("a");
        await Eventually.Async(() => a.Lease.IsLeader, "a leads");
        var b = await StartAsync("b");
        await PassAsync(TimeSpan.FromSeconds(60), () => Assert.False(b.Lease.IsLeader));
        Assert.True(a.Lease.IsLeader);

        await a.Lease.StepDownAsync();

        Assert.False(a.Lease.IsLeader);
        Assert.Equal(string.Empty, Spec()["holderIdentity"]!.GetValue<string>());
        await UntilAsync(() => b.Lease.IsLeader, "b leads", TimeSpan.FromSeconds(5));
        Assert.Equal(1, Spec()["leaseTransitions"]!.GetValue<int>());
    }

    [Fact]
    public async Task Partition_TheLeaderStopsBeforeAnotherBegins()
    {
        var a = await StartAsync("a");
        await Eventually.Async(() => a.Lease.IsLeader, "a leads");
        var term = await a.Lease.TermAsync(TestContext.Current.CancellationToken);
        var b = await StartAsync("b");
        await Eventually.Async(() => b.Lease.Holder == "a", "b has seen who leads");
        a.Wire.Cut();

        TimeSpan? stopped = null;
        var begun = await UntilAsync(() => b.Lease.IsLeader, "b leads", TimeSpan.FromSeconds(40), at =>
        {
            if (term.IsCancellationRequested)
            {
                stopped ??= at;
            }

            Assert.False(a.Lease.IsLeader && b.Lease.IsLeader);
        });

        Assert.NotNull(stopped);
        Assert.True(stopped < begun, $"a stopped after {stopped}, b began after {begun}");
        Assert.InRange(stopped.Value.TotalSeconds, 7, 11);

        a.Wire.Mend();
        await PassAsync(TimeSpan.FromSeconds(20), () => Assert.False(a.Lease.IsLeader));
        Assert.True(b.Lease.IsLeader);
        Assert.Equal("b", a.Lease.Holder);
    }

    /// <summary>A clock that is an hour behind or ahead says nothing about when a lease was renewed.</summary>
    [Theory]
    [InlineData(-3600)]
    [InlineData(3600)]
    public async Task Skew_TheHoldersClockIsNotBelieved(int seconds)
    {
        var a = await StartAsync("a", TimeSpan.FromSeconds(seconds));
        await Eventually.Async(() => a.Lease.IsLeader, "a leads");
        var b = await StartAsync("b");

        await PassAsync(TimeSpan.FromSeconds(40), () => Assert.False(b.Lease.IsLeader));
        a.Wire.Cut();
        await UntilAsync(() => b.Lease.IsLeader, "b leads", TimeSpan.FromSeconds(40), _ => Assert.False(a.Lease.IsLeader && b.Lease.IsLeader));
    }

    [Fact]
    public async Task Server_FailsForAMoment_TheLeadStays()
    {
        var a = await StartAsync("a");
        await Eventually.Async(() => a.Lease.IsLeader, "a leads");
        var term = await a.Lease.TermAsync(TestContext.Current.CancellationToken);
        _server.Faults.Fail("/apis/coordination.k8s.io", 500, 2);
        await PassAsync(TimeSpan.FromSeconds(30), () => Assert.True(a.Lease.IsLeader));
        Assert.False(term.IsCancellationRequested);
    }

    /// <summary>Somebody else writes the Lease (an annotation, for one): that takes the lead from nobody.</summary>
    [Fact]
    public async Task Conflict_WithoutAnotherHolder_TheLeadStays()
    {
        var a = await StartAsync("a");
        await Eventually.Async(() => a.Lease.IsLeader, "a leads");
        var term = await a.Lease.TermAsync(TestContext.Current.CancellationToken);
        for (var i = 0; i < 5; i++)
        {
            _server.Change("leases.coordination.k8s.io", Ns, "mesh", l => l["metadata"]!["annotations"] = new JsonObject { ["touched"] = $"{i}" });
            await PassAsync(TimeSpan.FromSeconds(3), () => Assert.True(a.Lease.IsLeader));
        }

        Assert.False(term.IsCancellationRequested);
        Assert.Equal("4", _server.Get("leases.coordination.k8s.io", Ns, "mesh")["metadata"]!["annotations"]!["touched"]!.GetValue<string>());
    }

    [Fact]
    public async Task Taken_ByForce_TheLeaderStopsAtItsNextRenewal()
    {
        var a = await StartAsync("a");
        await Eventually.Async(() => a.Lease.IsLeader, "a leads");
        var term = await a.Lease.TermAsync(TestContext.Current.CancellationToken);

        _server.Change("leases.coordination.k8s.io", Ns, "mesh", l => l["spec"]!["holderIdentity"] = "somebody");

        await UntilAsync(() => term.IsCancellationRequested, "a leads no more", TimeSpan.FromSeconds(5));
        Assert.Equal("somebody", a.Lease.Holder);
    }

    /// <summary>The election of the Kubernetes client library for .NET, which works as client-go's does.</summary>
    [Fact]
    public async Task Foreign_CandidateOfTheClientLibrary_BothKeepToTheLease()
    {
        using var client = new k8s.Kubernetes(new KubernetesClientConfiguration { Host = _server.Address.ToString(), AccessToken = _server.Token });
        var foreign = new LeaderElector(new LeaderElectionConfig(new LeaseLock(client, Ns, "mesh", "foreign"))
        {
            LeaseDuration = TimeSpan.FromSeconds(2), RenewDeadline = TimeSpan.FromSeconds(1.5), RetryPeriod = TimeSpan.FromMilliseconds(200),
        });
        _server.Apply("""
            apiVersion: coordination.k8s.io/v1
            kind: Lease
            metadata: { name: mesh, namespace: mesh-system }
            spec: { holderIdentity: "", leaseDurationSeconds: 1, acquireTime: "2026-01-01T00:00:00.000000Z", renewTime: "2026-01-01T00:00:00.000000Z", leaseTransitions: 0 }
            """);
        foreign.OnError += e => TestContext.Current.TestOutputHelper?.WriteLine(e.ToString());
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var running = foreign.RunUntilLeadershipLostAsync(stop.Token);
        await Eventually.Async(() => foreign.IsLeader(), "the foreign one leads");

        var ours = new LeaderLease(
            Api(_server.Address, TimeProvider.System), new LeaderLeaseOptions(Ns, "mesh", "ours") { Duration = TimeSpan.FromSeconds(2), RenewDeadline = TimeSpan.FromSeconds(1.5), Retry = TimeSpan.FromMilliseconds(200) },
            TimeProvider.System, new Random(1), NullLogger<LeaderLease>.Instance);
        await ours.StartAsync(TestContext.Current.CancellationToken);
        try
        {
            await Eventually.Async(() => ours.Holder == "foreign", "ours has seen it");
            Assert.False(ours.IsLeader);

            // It dies: nothing is given away.
            await stop.CancelAsync();
            await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
            await Eventually.Async(() => ours.IsLeader, "ours leads");
            Assert.True(Spec()["leaseTransitions"]!.GetValue<int>() >= 1);

            // And the other way round: it waits while we lead, and begins when we give the lease away.
            var second = new LeaderElector(new LeaderElectionConfig(new LeaseLock(client, Ns, "mesh", "second"))
            {
                LeaseDuration = TimeSpan.FromSeconds(2), RenewDeadline = TimeSpan.FromSeconds(1.5), RetryPeriod = TimeSpan.FromMilliseconds(200),
            });
            using var over = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
            var both = second.RunUntilLeadershipLostAsync(over.Token);
            await Eventually.Async(() => second.GetLeader() == "ours", "the second has seen ours");
            Assert.False(second.IsLeader());
            await ours.StepDownAsync();
            await Eventually.Async(() => second.IsLeader(), "the second leads");
            await over.CancelAsync();
            await both.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        }
        finally
        {
            await ours.StopAsync(CancellationToken.None);
            ours.Dispose();
        }
    }

    private JsonNode Spec() => _server.Get("leases.coordination.k8s.io", Ns, "mesh")["spec"]!;

    private KubeApi Api(Uri address, TimeProvider time) => KubeApi.At(address, _server.Token, null, time);

    private async Task<Candidate> StartAsync(string name, TimeSpan skew = default)
    {
        var wire = new Wire(_server.Address);
        var time = skew == default ? (TimeProvider)_time : new Skewed(_time, skew);
        var lease = new LeaderLease(Api(wire.Address, time), new LeaderLeaseOptions(Ns, "mesh", name), time, new Random(1), NullLogger<LeaderLease>.Instance);
        await lease.StartAsync(TestContext.Current.CancellationToken);
        var candidate = new Candidate(lease, wire);
        _disposables.Add(candidate);
        return candidate;
    }

    /// <summary>Lets time pass in small steps, so that requests between have their moment.</summary>
    private async Task PassAsync(TimeSpan time, Action each)
    {
        for (var passed = TimeSpan.Zero; passed < time; passed += TimeSpan.FromMilliseconds(500))
        {
            await StepAsync();
            each();
        }
    }

    private async Task<TimeSpan> UntilAsync(Func<bool> condition, string what, TimeSpan limit, Action<TimeSpan>? each = null)
    {
        for (var passed = TimeSpan.Zero; passed < limit; passed += TimeSpan.FromMilliseconds(500))
        {
            if (condition())
            {
                return passed;
            }

            await StepAsync();
            each?.Invoke(passed);
        }

        // No more time passes, but what was asked on a busy machine may still be on its way.
        await Eventually.Async(condition, $"{what}, after {limit} of fake time");
        return limit;
    }

    /// <summary>Half a second passes; then whatever the candidates have asked meanwhile is answered.</summary>
    private async Task StepAsync()
    {
        var before = _server.Log.All.Count;
        _time.Advance(TimeSpan.FromMilliseconds(500));
        var watch = System.Diagnostics.Stopwatch.StartNew();
        await Eventually.Async(() => watch.ElapsedMilliseconds >= 20 && _server.Log.All.Count == Interlocked.Exchange(ref before, _server.Log.All.Count), "the candidates are quiet");
    }

    private sealed record Candidate(LeaderLease Lease, Wire Wire) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await Lease.StopAsync(CancellationToken.None);
            Lease.Dispose();
            await Wire.DisposeAsync();
        }
    }

    private sealed class Skewed(TimeProvider inner, TimeSpan by) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => inner.GetUtcNow() + by;

        public override long GetTimestamp() => inner.GetTimestamp();

        public override long TimestampFrequency => inner.TimestampFrequency;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) => inner.CreateTimer(callback, state, dueTime, period);
    }
}
