using System.Collections.Immutable;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Insight;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Tap;
using Mesh.ControlPlane.Telemetry;
using Mesh.ControlPlane.Tests.Hosting;
using Mesh.ControlPlane.Tests.Telemetry;
using Mesh.ControlPlane.Xds;
using Mesh.Tap;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.Insight;

/// <summary>What is judged of a time past: out of a real store over a clock of the test's, joined with what a control plane knows now.</summary>
public sealed class PastTests : IAsyncLifetime
{
    private static readonly DateTimeOffset Noon = new(2030, 5, 1, 12, 0, 0, TimeSpan.Zero);
    private readonly FakeTimeProvider _time = new(Noon);
    private readonly string _folder = Directory.CreateTempSubdirectory("mesh-past-").FullName;
    private readonly GoldenBench _bench;
    private readonly DenialStore _denials;
    private TestControlPlane _controlPlane = null!;
    private DataFolder _data = null!;
    private ChangeLog _changes = null!;
    private InsightReader _reader = null!;

    public PastTests() => (_bench, _denials) = (new GoldenBench(_time), new DenialStore(_time));

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _controlPlane = await TestControlPlane.StartAsync();
        var services = _controlPlane.Services;
        _controlPlane.Source.Publish(new MeshModel
        {
            Services = new[] { "payments", "cart", "new" }.Select((n, i) => new Service(new ServiceName("shop", n), [new ServicePort("", 80, null)], [new ServiceEndpoint("", $"10.0.0.{i + 1}", 80, $"{n}-sa", true, "a", true)]))
                .ToImmutableDictionary(s => s.Name),
        });
        _data = new DataFolder(_folder);
        _changes = new ChangeLog(_data, _time, NullLogger<ChangeLog>.Instance);
        _reader = Reader(_bench.Queries);

        // An hour of calls, five minutes of trouble that ends, and an hour without.
        Pass(TimeSpan.FromHours(1), bad: 0);
        _changes.Add(ChangeKinds.Config, "FaultPolicy shop/broken added", "shop", "payments");
        _denials.Add("payments-sa", "shop", [new DenialReport(_time.GetUtcNow(), "spiffe://cluster.local/ns/shop/sa/till", "GET", "/", false, "no-tills", "", 4)]);
        Pass(TimeSpan.FromMinutes(5), bad: 50);
        _changes.Add(ChangeKinds.Config, "FaultPolicy shop/broken removed", "shop", "payments");
        Pass(TimeSpan.FromHours(1), bad: 0);
    }

    public async ValueTask DisposeAsync()
    {
        await _controlPlane.DisposeAsync();
        _changes.Dispose();
        _data.Dispose();
        _bench.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Overview_OfAnHourAgo_TellsWhatFailedThen_AndOfNowItIsWell()
    {
        var past = await _reader.OverviewAsync(At(59, 66), Token);

        Assert.True(past.Past);
        Assert.Equal((Noon + TimeSpan.FromMinutes(59), Noon + TimeSpan.FromMinutes(66), 420), (past.From, past.To, past.WindowS));
        Assert.Equal("1 of 1 services was failing: payments failed 35.7 % from 13:00 UTC on, after FaultPolicy shop/broken added.", past.Status.Sentence);
        var payments = Assert.Single(past.Services);
        Assert.Equal(HealthLevel.Failing, payments.Level);
        var reason = Assert.Single(payments.Reasons, r => r.Code == ReasonCodes.Failures);
        Assert.Equal(("35.7 % of calls failed", Noon + TimeSpan.FromHours(1)), (reason.Text, reason.Since));
        Assert.Equal((4200L, 1500L, (long?)null), (payments.Golden.Requests, payments.Golden.Failures, payments.Golden.OpenConnections));
        Assert.Equal(1, payments.Baseline!.SuccessRate);
        Assert.Equal(["FaultPolicy shop/broken removed", "FaultPolicy shop/broken added"], past.Changes.Select(c => c.What));
        // What is known of now alone is not shown as if it were of then.
        Assert.Equal(Overview.OnlyOfNow, past.LeftOut);
        Assert.Equal(((EndpointTotals?)null, (bool?)null, (int?)null), (payments.Endpoints, payments.Meshed, payments.Faults));

        var now = await _reader.OverviewAsync(InsightTime.Last(TimeSpan.FromMinutes(5), _time.GetUtcNow()), Token);
        Assert.Equal((false, HealthLevel.Ok, "1 services is well, 2 idle.".Replace("services", "service", StringComparison.Ordinal)), (now.Past, now.Status.Level, now.Status.Sentence));
        Assert.Empty(now.LeftOut);
        Assert.All(now.Services, s => Assert.Equal(1, s.Endpoints!.Ready));

        var before = await _reader.OverviewAsync(At(40, 50), Token);
        Assert.Equal(("The one service was well.", 0), (before.Status.Sentence, before.Changes.Count));
    }

    [Fact]
    public async Task Overview_OlderThanTheStore_SaysHowFarBackItReaches()
    {
        var nothing = await _reader.OverviewAsync(At(-60, -30), Token);
        Assert.Equal((HealthLevel.Idle, "Nothing is known of that time: numbers reach back to 12:00 UTC."), (nothing.Status.Level, nothing.Status.Sentence));
        Assert.Equal((Noon, 0), (nothing.ReachesBackTo, nothing.Services.Count));

        var half = await _reader.OverviewAsync(At(-30, 30), Token);
        Assert.Equal((Noon, 18_000L), (half.ReachesBackTo, Assert.Single(half.Services).Golden.Requests));

        _time.Advance(TimeSpan.FromDays(1));
        _bench.Store.Flush();
        Assert.Equal(
            "1 of 1 services was failing: payments failed 16.7 % from 2030-05-01 13:00 UTC on, after FaultPolicy shop/broken added.", (await _reader.OverviewAsync(At(55, 67), Token)).Status.Sentence);
    }

    [Fact]
    public async Task TopologyServiceAndSecurity_OfAnHourAgo_AreOfThen()
    {
        var asked = At(60, 65);
        var then = await new TopologyReader(_reader, _bench.Queries).ReadAsync(asked, Token);
        var edge = Assert.Single(then.Edges);
        Assert.Equal(("shop/cart", "shop/payments", HealthLevel.Failing, 1500L), (edge.Source, edge.Destination, edge.Level, edge.Client!.Failures));
        Assert.Equal(30, edge.Decisions["retry"]);
        Assert.All(then.Nodes, n => Assert.Null(n.Endpoints));
        Assert.Equal(["cart", "payments"], then.Nodes.Select(n => n.Name));

        var pages = new ServicePageReader(_reader, _bench.Queries, new MeshControlPlaneOptions());
        var page = (await pages.ReadAsync(new ServiceName("shop", "payments"), asked, Token))!;
        Assert.Equal((HealthLevel.Failing, 50.0), (page.Level, 100.0 * page.Inbound[0].Failures / page.Inbound[0].Requests));
        // Endpoints by what was counted of them: one that is no longer configured is among them.
        var endpoint = Assert.Single(page.Endpoints);
        Assert.Equal(("10.0.9.9:80", 3000L, (bool?)null, (string?)null), (endpoint.Address, endpoint.Golden.Requests, endpoint.Ready, endpoint.Identity));
        Assert.Equal(30, Assert.Single(page.Decisions).Count);
        Assert.Empty(page.Ports);
        Assert.Equal(["FaultPolicy shop/broken removed", "FaultPolicy shop/broken added"], page.Changes.Select(c => c.What));
        Assert.Empty((await pages.ReadAsync(new ServiceName("shop", "payments"), At(90, 95), Token))!.Decisions);
        Assert.Equal(HealthLevel.Idle, (await pages.ReadAsync(new ServiceName("shop", "new"), asked, Token))!.Level);
        Assert.Null(await pages.ReadAsync(new ServiceName("shop", "nobody"), asked, Token));

        var services = _controlPlane.Services;
        var security = new SecurityReader(
            _reader, _bench.Queries, services.GetRequiredService<IssuanceLog>(), services.GetRequiredService<AuthorityKeeper>(), services.GetRequiredService<TrustBundleStore>(),
            new DenialAnswers(_denials, null, _time), new MeshControlPlaneOptions());
        var safe = await security.ReadAsync(asked, Token);
        Assert.Equal(("cart-sa", 3000L, (string?)null), (Assert.Single(safe.Mtls).Source, safe.Mtls[0].Requests, safe.Mtls[0].SourceIdentity));
        Assert.Equal(4, Assert.Single(safe.Denials).Count);
        Assert.Equal((0, 0, 0), (safe.Certificates.Count, safe.Roots.Count, safe.Unmeshed.Count));
        Assert.Empty((await security.ReadAsync(At(90, 95), Token)).Denials);
        var now = await security.ReadAsync(InsightTime.Last(TimeSpan.FromMinutes(5), _time.GetUtcNow()), Token);
        Assert.Equal(("spiffe://cluster.local/ns/shop/sa/cart-sa", false), (Assert.Single(now.Mtls).SourceIdentity, now.Roots.Count == 0));
    }

    [Fact]
    public async Task MissingReplica_IsNamedInAnswersAboutThePastToo()
    {
        var golden = new FakeGolden { Missing = [new MissingReplica("cp-b", "no answer within 2 s")] };
        golden.Calls("cart", "payments", Noon, Noon + TimeSpan.FromMinutes(5), 10);

        var past = await Reader(golden).OverviewAsync(At(0, 5), Token);

        Assert.Equal("cp-b", Assert.Single(past.Partial).Replica);
        Assert.Equal("cp-b", Assert.Single((await new TopologyReader(Reader(golden), golden).ReadAsync(At(0, 5), Token)).Partial).Replica);
    }

    private InsightReader Reader(IGoldenQueries golden)
    {
        var services = _controlPlane.Services;
        return new InsightReader(
            golden, services.GetRequiredService<ModelStore>(), services.GetRequiredService<ClientRegistry>(), services.GetRequiredService<IssuanceLog>(), _changes, services.GetRequiredService<FaultList>(), _time);
    }

    /// <summary>Minutes after noon.</summary>
    private InsightTime At(int from, int to) => new(_time.GetUtcNow(), Noon + TimeSpan.FromMinutes(from), Noon + TimeSpan.FromMinutes(to));

    /// <summary>100 calls in each 10 s.</summary>
    private void Pass(TimeSpan length, int bad)
    {
        for (var at = TimeSpan.Zero; at < length; at += Slots.Fine)
        {
            _time.Advance(Slots.Fine);
            foreach (var kind in new[] { SeriesKind.Call, SeriesKind.Attempt })
            {
                var key = new SeriesKey(kind, "cart-sa", "shop", "payments", "shop") { Endpoint = kind == SeriesKind.Attempt ? "10.0.9.9:80" : string.Empty };
                _bench.Store.Add(key, Of(100 - bad, CallOutcome.Good), Slots.Fine);
                _bench.Store.Add(key, Of(bad, CallOutcome.Bad), Slots.Fine);
            }

            if (bad > 0)
            {
                foreach (var (ns, count) in new[] { ("shop", 1), ("bank", 7) })
                {
                    _bench.Store.Add(new SeriesKey(SeriesKind.ClientDecision, "cart-sa", "shop", "payments", ns) { Route = "retry", Backend = "503" }, new Measure(CallOutcome.Good, false, count), Slots.Fine);
                }
            }

            _bench.Store.Flush();
        }
    }

    private static Measure Of(int count, CallOutcome outcome)
    {
        var durations = new BucketCounts();
        durations.Add(-64, count);
        return Measure.Of(durations, outcome, tls: true);
    }
}
