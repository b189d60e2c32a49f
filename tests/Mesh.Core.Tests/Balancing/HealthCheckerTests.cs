using Mesh.Config;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Balancing;

public sealed class HealthCheckerTests
{
    private static readonly HealthCheck _check = new(new HealthProbe.Http("/healthz", null, []), TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(1), 3, 2);
    private readonly FakeTimeProvider _time = new();
    private readonly HealthChecker _checker;
    private readonly BalancedEndpoint[] _endpoints;

    public HealthCheckerTests()
    {
        _checker = new HealthChecker(_time, new Random(1));
        _endpoints = [.. Enumerable.Range(1, 4).Select(i => new BalancedEndpoint(new Endpoint($"10.0.0.{i}", 80, 1, Healthy: i < 4), new PeakEwma(_time, PeakEwma.DefaultRtt)))];
    }

    private long Now => _time.GetTimestamp();

    [Theory]
    [InlineData(ProbeEnd.Bad)]
    [InlineData(ProbeEnd.Refused)]
    internal void Record_FirstProbe_CountsAtOnce(ProbeEnd end)
    {
        Use(_check, 1);
        Assert.True(Probe(end));
        Assert.True(_endpoints[0].ProbeFailing);
    }

    [Fact]
    public void Record_BadProbesInARow_TakeItOutAtTheThreshold()
    {
        Use(_check, 1);
        Assert.Null(Probe(ProbeEnd.Good));
        Assert.Null(Probe(ProbeEnd.Bad));
        Assert.Null(Probe(ProbeEnd.Bad));
        Assert.Null(Probe(ProbeEnd.Good));
        Assert.Null(Probe(ProbeEnd.Bad));
        Assert.Null(Probe(ProbeEnd.Bad));
        Assert.False(_endpoints[0].ProbeFailing);
        Assert.True(Probe(ProbeEnd.Bad));
        Assert.Null(Probe(ProbeEnd.Bad));
        Assert.True(_endpoints[0].ProbeFailing);
    }

    [Fact]
    public void Record_RefusedConnection_TakesItOutAtOnce()
    {
        Use(_check, 1);
        Probe(ProbeEnd.Good);
        Assert.True(Probe(ProbeEnd.Refused));
    }

    [Fact]
    public void Record_GoodProbesInARow_BringItBackAtTheThreshold()
    {
        Use(_check, 1);
        Probe(ProbeEnd.Bad);
        Assert.Null(Probe(ProbeEnd.Good));
        Assert.Null(Probe(ProbeEnd.Bad));
        Assert.Null(Probe(ProbeEnd.Good));
        Assert.True(_endpoints[0].ProbeFailing);
        Assert.False(Probe(ProbeEnd.Good));
        Assert.False(_endpoints[0].ProbeFailing);
    }

    [Fact]
    public void Record_NotSent_SaysNothing()
    {
        Use(_check, 1);
        Assert.Null(Probe(ProbeEnd.NotSent));
        // Still the first of all.
        Assert.True(Probe(ProbeEnd.Bad));
    }

    [Fact]
    public void TakeDue_Endpoints_AreDueSoonThenOncePerIntervalWithJitter()
    {
        Use(_check, 3);
        _time.Advance(TimeSpan.FromSeconds(0.2));
        Assert.Equal(3, TakeAll().Count);
        Assert.Null(_checker.UntilDue(Now));
        foreach (var endpoint in _endpoints[..3])
        {
            _checker.Record(endpoint, new(ProbeEnd.Good, ""));
        }

        var waits = new List<TimeSpan>();
        for (var i = 0; i < 300; i++)
        {
            var wait = _checker.UntilDue(Now)!.Value;
            Assert.InRange(wait, TimeSpan.Zero, TimeSpan.FromSeconds(11));
            _time.Advance(wait + TimeSpan.FromTicks(1));
            var endpoint = Assert.Single(TakeAll());
            if (endpoint == _endpoints[0])
            {
                waits.Add(_time.GetUtcNow() - _time.Start);
            }

            _checker.Record(endpoint, new(ProbeEnd.Good, ""));
        }

        var gaps = waits.Zip(waits.Skip(1), (a, b) => (b - a).TotalSeconds).ToList();
        Assert.All(gaps, gap => Assert.InRange(gap, 8.99, 11.01));
        Assert.True(gaps.Max() - gaps.Min() > 0.5, "no jitter");
    }

    [Fact]
    public void TakeDue_WhileRunning_IsNotHandedOutAgain()
    {
        Use(_check, 1);
        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.Single(TakeAll());
        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.Empty(TakeAll());
        _checker.Record(_endpoints[0], new(ProbeEnd.Good, ""));
        Assert.Equal(TimeSpan.Zero, _checker.UntilDue(Now));
        Assert.Single(TakeAll());
    }

    [Fact]
    public void Update_EndpointThatTheControlPlaneCallsUnhealthy_IsNotProbed()
    {
        Use(_check, 4);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.DoesNotContain(_endpoints[3], TakeAll());
    }

    [Fact]
    public void Update_NoSettingsOrGone_LetsGoOfTheEndpoint()
    {
        Use(_check, 2);
        _time.Advance(TimeSpan.FromSeconds(1));
        foreach (var endpoint in TakeAll())
        {
            _checker.Record(endpoint, new(ProbeEnd.Bad, ""));
        }

        Use(_check, 1);
        Assert.Equal([true, false], _endpoints[..2].Select(e => e.ProbeFailing));
        Use(null, 1);
        Assert.False(_endpoints[0].ProbeFailing);
        Assert.Null(_checker.UntilDue(Now));
        Assert.Null(_checker.Record(_endpoints[0], new(ProbeEnd.Bad, "")));
    }

    [Fact]
    public void Update_SameProbeAgain_KeepsWhatIsKnown()
    {
        Use(_check, 1);
        Probe(ProbeEnd.Bad);
        Use(_check with { Probe = new HealthProbe.Http("/healthz", null, []), HealthyThreshold = 1 }, 1);
        Assert.True(_endpoints[0].ProbeFailing);
        Assert.False(Probe(ProbeEnd.Good));
        Probe(ProbeEnd.Refused);
        Use(_check with { Probe = new HealthProbe.Http("/ready", null, []) }, 1);
        Assert.False(_endpoints[0].ProbeFailing);
        Assert.True(Probe(ProbeEnd.Bad));
    }

    [Fact]
    public void Update_ShorterInterval_IsDueSooner()
    {
        Use(_check with { Interval = TimeSpan.FromHours(1) }, 1);
        Probe(ProbeEnd.Good);
        Use(_check with { Interval = TimeSpan.FromSeconds(1) }, 1);
        Assert.InRange(_checker.UntilDue(Now)!.Value, TimeSpan.Zero, TimeSpan.FromSeconds(1.1));
    }

    private void Use(HealthCheck? check, int endpoints) => _checker.Update(check, _endpoints[..endpoints], Now);

    private bool? Probe(ProbeEnd end)
    {
        _time.Advance(TimeSpan.FromSeconds(12));
        return _checker.Record(_checker.TakeDue(Now)!, new(end, ""));
    }

    private List<BalancedEndpoint> TakeAll()
    {
        var taken = new List<BalancedEndpoint>();
        while (_checker.TakeDue(Now) is { } endpoint)
        {
            taken.Add(endpoint);
        }

        return taken;
    }
}
