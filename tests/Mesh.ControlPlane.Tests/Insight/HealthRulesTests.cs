using Mesh.ControlPlane.Insight;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Telemetry;
using Xunit;

namespace Mesh.ControlPlane.Tests.Insight;

public sealed class HealthRulesTests
{
    private static readonly DateTimeOffset Now = new(2026, 5, 1, 14, 5, 0, TimeSpan.Zero);
    private static readonly InsightBasis Basis = new(InsightTime.Last(TimeSpan.FromMinutes(1), Now), Now, Now, default, "memory", [], [], []);

    [Theory]
    [InlineData(100, 0, "ok")]
    [InlineData(1000, 9, "ok")]
    [InlineData(100, 1, "degraded")]
    [InlineData(100, 9, "degraded")]
    [InlineData(100, 10, "failing")]
    [InlineData(9, 9, "degraded")] // Too few to call anybody failing.
    [InlineData(10, 1, "failing")]
    [InlineData(0, 0, "idle")]
    public void Judge_ShareOfFailures_GivesLevel(int requests, int failures, string level)
    {
        var (judged, reasons) = HealthRules.Judge(Signs(Golden.Of(requests, failures)));

        Assert.Equal(level, judged.ToString().ToLowerInvariant());
        Assert.Equal(level is "degraded" or "failing", reasons.Any(r => r.Code == ReasonCodes.Failures));
    }

    [Theory]
    [InlineData(6, 18, true)] // Three times, and 12 ms more.
    [InlineData(6, 15.9, false)] // Less than three times.
    [InlineData(2, 11.9, false)] // Six times, and not 10 ms more.
    [InlineData(2, 12, true)]
    public void Judge_P99AgainstTheHourBefore_IsDegradedFromThreeTimesAndTenMs(double before, double now, bool slow)
    {
        var (level, reasons) = HealthRules.Judge(Signs(Golden.Of(100, 0, now), Golden.Of(1000, 0, before)));

        Assert.Equal(slow ? HealthLevel.Degraded : HealthLevel.Ok, level);
        Assert.Equal(slow, reasons.Any(r => r.Code == ReasonCodes.Latency));
    }

    [Fact]
    public void Judge_NoHourBefore_SaysNothingOfLatency() => Assert.Equal(HealthLevel.Ok, HealthRules.Judge(Signs(Golden.Of(100, 0, 5000))).Level);

    [Theory]
    [InlineData(50, "failing")]
    [InlineData(0, "idle")] // Nobody misses it.
    public void Judge_NoReadyEndpoint_IsFailingWhereSomebodyCalls(int requests, string level)
    {
        var (judged, reasons) = HealthRules.Judge(Signs(Golden.Of(requests)) with { Endpoints = new EndpointTotals(2, 0, 2, 0) });

        Assert.Equal(level, judged.ToString().ToLowerInvariant());
        Assert.Equal("none of 2 endpoints is ready", Assert.Single(reasons).Text);
    }

    [Fact]
    public void Judge_ExternalHost_NeedsNoEndpoints() =>
        Assert.Equal(HealthLevel.Ok, HealthRules.Judge(Signs(Golden.Of(50)) with { Endpoints = EndpointTotals.None, IsExternal = true }).Level);

    [Fact]
    public void Judge_EverySignOfTrouble_IsNamed_AndOnlyLooksAreNoTrouble()
    {
        var ejected = new BalancerState("cart", "shop", "cart~1~shop", "10.0.0.1:80", "ejected", 0, 1, 1, Now, "5 in a row", Now);
        var signs = Signs(Golden.Of(100) with { Retries = 20, MtlsShare = 0.5 }) with
        {
            Balancers = [ejected],
            Denied = 3,
            Shed = 4,
            Lagging = [new LaggingClient("a~1~shop", "Listener: no", 5, Now), new LaggingClient("b~1~shop", null, 45, Now)],
            LateCertificates = [new LateCertificate("a~1~shop", Now, Now)],
            Faults = [new FaultItem("1", "shop", "cart", "shop/slow", "+200ms for 100 %", null, true, "admin")],
        };
        var (level, reasons) = HealthRules.Judge(signs);

        Assert.Equal(HealthLevel.Degraded, level);
        Assert.Equal(
            [ReasonCodes.Certificate, ReasonCodes.Denied, ReasonCodes.Ejected, ReasonCodes.Fault, ReasonCodes.Nack, ReasonCodes.Plaintext, ReasonCodes.Retries, ReasonCodes.Shed, ReasonCodes.StaleConfig],
            reasons.Select(r => r.Code).Order());
        Assert.Equal(
            [ReasonCodes.Certificate, ReasonCodes.Denied, ReasonCodes.Ejected, ReasonCodes.Nack], reasons.Where(r => r.Weight == HealthLevel.Degraded).Select(r => r.Code).Order());
        Assert.Equal(HealthLevel.Ok, HealthRules.Judge(signs with { Balancers = [], Denied = 0, Lagging = [signs.Lagging[1]], LateCertificates = [] }).Level);
    }

    [Theory]
    [InlineData("BBB", 0)]
    [InlineData("...BBB", 3)]
    [InlineData("BBB....BB", 7)] // It was well in between.
    [InlineData("BB.B..B", 0)] // A pause is not the end.
    [InlineData("  BB  ", 2)]
    [InlineData("....", null)]
    [InlineData("B....", null)] // Over.
    public void Onset_FindsTheBeginningOfWhatGoesOn(string points, int? first) =>
        Assert.Equal(first, Onset.Find([.. points.Select(p => p == ' ' ? (bool?)null : p == 'B')]));

    [Fact]
    public void Sentence_NamesWorstSinceWhenAndTheLikeliestChange()
    {
        var began = new DateTimeOffset(2026, 5, 1, 14, 2, 0, TimeSpan.Zero);
        MeshChange[] changes =
        [
            new(began + TimeSpan.FromSeconds(90), ChangeKinds.Config, "HTTPRoute shop/cart changed", "shop", "payments", "89"), // After it began.
            new(began - TimeSpan.FromSeconds(4), ChangeKinds.Fault, "FaultPolicy shop/slow changed", "shop", "payments", "88"),
            new(began - TimeSpan.FromSeconds(1), ChangeKinds.Endpoint, "shop/payments: 10.0.0.1:80 is ready", "shop", "payments", "87") { Recovery = true },
            new(began - TimeSpan.FromSeconds(2), ChangeKinds.Config, "HTTPRoute shop/catalog changed", "shop", "catalog", "87"),
            new(began - TimeSpan.FromMinutes(30), ChangeKinds.Config, "RetryPolicy shop/payments added", "shop", "payments", "86"),
        ];
        ServiceHealth Health(string name, HealthLevel level, params Reason[] reasons) => new(
            "shop", name, level, true, reasons, Golden.Of(1000, 120), new Baseline(1, 6, 20), new Spark(began, 30, [], [], []), new EndpointTotals(2, 2, 2, 0), 0);
        var payments = Health("payments", HealthLevel.Failing, new Reason(ReasonCodes.Failures, "12.0 % of calls fail", began));

        Assert.Equal("1 of 2 services is failing: payments fails 12.0 % since 14:02 UTC, after FaultPolicy shop/slow changed.", MeshStatus.Of(Basis, [payments, Health("cart", HealthLevel.Ok)], changes).Sentence);
        Assert.Equal("1 of 2 services is failing, 1 degraded: payments fails 12.0 % since 14:02 UTC, after FaultPolicy shop/slow changed.",
            MeshStatus.Of(Basis, [payments, Health("cart", HealthLevel.Degraded)], changes).Sentence);
        // Its caller fails as much, and nothing changed there.
        var storefront = Health("storefront", HealthLevel.Failing, payments.Reasons[0]);
        Assert.Equal("2 of 2 services are failing: payments fails 12.0 % since 14:02 UTC, after FaultPolicy shop/slow changed.", MeshStatus.Of(Basis, [storefront, payments], changes).Sentence);
        Assert.Equal("2 of 2 services are failing: storefront fails 12.0 % since 14:02 UTC.", MeshStatus.Of(Basis, [storefront, payments], []).Sentence);
        Assert.Equal("1 of 2 services is failing: payments fails 12.0 % since 14:02 UTC.", MeshStatus.Of(Basis, [payments, Health("cart", HealthLevel.Ok)], []).Sentence);
        Assert.Equal("All 2 services are well.", MeshStatus.Of(Basis, [Health("a", HealthLevel.Ok), Health("b", HealthLevel.Ok)], changes).Sentence);
        Assert.Equal("1 service is well, 1 idle.", MeshStatus.Of(Basis, [Health("a", HealthLevel.Ok), Health("b", HealthLevel.Idle)], changes).Sentence);
        Assert.Equal(HealthLevel.Idle, MeshStatus.Of(Basis, [], changes).Level);
    }

    private static ServiceSigns Signs(GoldenNumbers now, GoldenNumbers? before = null) => new(new ServiceName("shop", "cart"), now, before ?? GoldenNumbers.None, new EndpointTotals(2, 2, 2, 0));
}
