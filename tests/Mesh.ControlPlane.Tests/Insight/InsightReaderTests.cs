using System.Collections.Immutable;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Insight;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Telemetry;
using Mesh.ControlPlane.Tests.Hosting;
using Mesh.ControlPlane.Xds;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.Insight;

/// <summary>Measurements of a test, joined with what a real control plane knows.</summary>
public sealed class InsightReaderTests : IAsyncLifetime
{
    private static readonly TimeSpan Minute = TimeSpan.FromSeconds(60);
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2030, 5, 1, 14, 0, 0, TimeSpan.Zero));
    private readonly FakeGolden _golden = new();
    private TestControlPlane _controlPlane = null!;
    private InsightReader _reader = null!;

    private DateTimeOffset Now => _time.GetUtcNow();

    public async ValueTask InitializeAsync()
    {
        _controlPlane = await TestControlPlane.StartAsync();
        var services = _controlPlane.Services;
        _controlPlane.Source.Publish(Shop("payments", "cart"));
        _reader = new InsightReader(
            _golden, services.GetRequiredService<ModelStore>(), services.GetRequiredService<ClientRegistry>(), services.GetRequiredService<IssuanceLog>(), services.GetRequiredService<ChangeLog>(),
            services.GetRequiredService<FaultList>(), _time);
    }

    public ValueTask DisposeAsync() => _controlPlane.DisposeAsync();

    [Fact]
    public async Task Overview_FailsSinceThreeMinutes_WorstFirstWithItsBeginning()
    {
        _golden.Calls("cart", "payments", Now - TimeSpan.FromHours(2), Now - TimeSpan.FromMinutes(3), 100, p99: 6);
        _golden.Calls("cart", "payments", Now - TimeSpan.FromMinutes(3), Now, 100, 12, p99: 6);
        _golden.Calls("unmeshed", "cart", Now - TimeSpan.FromHours(2), Now, 50);

        var overview = await _reader.OverviewAsync(Last(Minute), TestContext.Current.CancellationToken);

        Assert.Equal(["payments", "cart"], overview.Services.Select(s => s.Name));
        Assert.Equal(HealthLevel.Failing, overview.Status.Level);
        var reason = Assert.Single(overview.Services[0].Reasons, r => r.Code == ReasonCodes.Failures);
        Assert.Equal(Now - TimeSpan.FromMinutes(3), reason.Since);
        Assert.StartsWith("1 of 2 services is failing: payments fails 12.0 % since 13:57 UTC", overview.Status.Sentence, StringComparison.Ordinal);
        // Two of its sixty minutes are in the trouble already.
        Assert.Equal((0.996, 6, 10), (Math.Round(overview.Services[0].Baseline!.SuccessRate, 4), overview.Services[0].Baseline!.P99Ms, Math.Round(overview.Services[0].Baseline!.Rps)));
        Assert.Equal(30, overview.Services[0].Spark.SuccessRate.Count);
        Assert.Equal(0.88, overview.Services[0].Spark.SuccessRate[^1]!.Value, 3);
        Assert.Equal(1, overview.Services[0].Spark.SuccessRate[0]!.Value);
    }

    [Fact]
    public async Task Overview_FailsForLong_ItsBeginningIsLookedForFurtherBack()
    {
        _golden.Calls("cart", "payments", Now - TimeSpan.FromHours(4), Now - TimeSpan.FromHours(2), 100);
        _golden.Calls("cart", "payments", Now - TimeSpan.FromHours(2), Now, 100, 50);

        var overview = await _reader.OverviewAsync(Last(Minute), TestContext.Current.CancellationToken);

        Assert.Equal(Now - TimeSpan.FromHours(2), overview.Services[0].Reasons.Single(r => r.Code == ReasonCodes.Failures).Since);
    }

    [Fact]
    public async Task Topology_DrawsWorkloadsAsTheirServices_AndBothViewsOfAnEdge()
    {
        _golden.Calls("cart-sa", "payments", Now - Minute, Now, 10);
        _golden.Calls("cart-sa", "payments-sa", Now - Minute, Now, 9, 9, view: "server");
        _golden.Calls("unmeshed", "cart", Now - Minute, Now, 5);
        _golden.Calls("loadgen", "cart", Now - Minute, Now, 5);
        _golden.Counts.Add(new DecisionCount("cart-sa", "shop", "client", "retry", "503", "payments", "shop", 7));
        _golden.Counts.Add(new DecisionCount("cart-sa", "shop", "client", "retry", "503", "payments", "bank", 100));

        var topology = await new TopologyReader(_reader, _golden).ReadAsync(Last(Minute), TestContext.Current.CancellationToken);

        Assert.Equal(
            ["shop/cart service", "shop/loadgen workload", "shop/payments service", "unmeshed unmeshed"], topology.Nodes.Select(n => $"{n.Id} {n.Kind}"));
        Assert.Equal(["shop/cart>shop/payments", "shop/loadgen>shop/cart", "unmeshed>shop/cart"], topology.Edges.Select(e => $"{e.Source}>{e.Destination}"));
        Assert.Equal((60, 54), (topology.Edges[0].Client!.Requests, topology.Edges[0].Server!.Requests));
        Assert.Null(topology.Edges[1].Server);
        Assert.Equal(7, topology.Edges[0].Decisions["retry"]);
        Assert.Equal(["payments-sa"], topology.Nodes.Single(n => n.Name == "payments").Workloads);
    }

    [Fact]
    public async Task Service_HasEndpointsWithTheirBalancersAndBothSidesOfItsCalls()
    {
        _golden.Calls("cart-sa", "payments", Now - Minute, Now, 10);
        _golden.Calls("payments-sa", "bank", Now - Minute, Now, 4);
        _golden.States.Add(new BalancerState("cart-sa", "shop", "cart~1~shop", "10.0.0.1:80", "ejected", 2, 3.1, 1, Now + Minute, "5 in a row", Now));
        var pages = new ServicePageReader(_reader, _golden, new MeshControlPlaneOptions());

        var page = await pages.ReadAsync(new ServiceName("shop", "payments"), Last(Minute), TestContext.Current.CancellationToken);

        Assert.NotNull(page);
        Assert.Equal("cart-sa", Assert.Single(page.Inbound).Source);
        Assert.Equal("bank", Assert.Single(page.Outbound).Destination);
        var endpoint = Assert.Single(page.Endpoints);
        Assert.Equal(("10.0.0.1:80", "spiffe://cluster.local/ns/shop/sa/payments-sa"), (endpoint.Address, endpoint.Identity));
        Assert.Equal(("ejected", "5 in a row"), (Assert.Single(endpoint.Balancers).State, endpoint.Balancers[0].Why));
        Assert.Equal(HealthLevel.Degraded, page.Level);
        Assert.Contains(page.Reasons, r => r is { Code: ReasonCodes.Ejected, Text: "10.0.0.1:80 is ejected by cart-sa" });
        Assert.Null(await pages.ReadAsync(new ServiceName("shop", "nobody"), Last(Minute), TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Overview_ServiceThatRoutesLeadElsewhere_HasTheEndpointsOfItsBackends()
    {
        _controlPlane.Source.Publish(Routed());
        _golden.Calls("cart", "pricing", Now - TimeSpan.FromHours(2), Now, 100);

        var service = (await _reader.OverviewAsync(Last(Minute), TestContext.Current.CancellationToken)).Services.Single(s => s.Name == "pricing");

        Assert.Equal((HealthLevel.Ok, 2, 2), (service.Level, service.Endpoints!.Total, service.Endpoints.Ready));
        Assert.Empty(service.Reasons);
    }

    [Fact]
    public async Task Topology_ServiceThatRoutesLeadElsewhere_IsDrawnBetweenItsCallersAndItsBackends()
    {
        _controlPlane.Source.Publish(Routed());
        _golden.Calls("cart", "pricing", Now - Minute, Now, 10);
        _golden.Calls("till", "pricing", Now - Minute, Now, 2);
        _golden.Calls("till", "pricing-v2", Now - Minute, Now, 4);
        _golden.Calls("cart", "pricing-v1-sa", Now - Minute, Now, 9, 1, view: "server");
        _golden.Calls("cart", "pricing-v2-sa", Now - Minute, Now, 1, view: "server");
        _golden.Calls("till", "pricing-v1-sa", Now - Minute, Now, 2, view: "server");
        _golden.Calls("till", "pricing-v2-sa", Now - Minute, Now, 5, view: "server");

        var topology = await new TopologyReader(_reader, _golden).ReadAsync(Last(Minute), TestContext.Current.CancellationToken);

        Assert.Equal(
            [
                "shop/cart>shop/pricing 60 60 False",
                "shop/pricing>shop/pricing-v1 - 66 True",
                "shop/pricing>shop/pricing-v2 - 6 True",
                "shop/till>shop/pricing 12 12 False",
                "shop/till>shop/pricing-v2 24 30 False",
            ],
            topology.Edges.Select(e => $"{e.Source}>{e.Destination} {e.Client?.Requests.ToString() ?? "-"} {e.Server?.Requests.ToString() ?? "-"} {e.Routed}"));
        Assert.Equal(6, topology.Edges[1].Server!.Failures);
    }

    private InsightTime Last(TimeSpan window) => InsightTime.Last(window, Now);

    /// <summary>Nine of ten calls to pricing go to its first version, one to its second.</summary>
    private static MeshModel Routed()
    {
        var (model, pricing) = (Shop("pricing-v1", "pricing-v2"), new ServiceName("shop", "pricing"));
        return model with
        {
            Services = model.Services.Add(pricing, new Service(pricing, [new ServicePort("", 80, null)], [])),
            Routes = [new TrafficRoute("shop", "pricing", false, [new ParentRef(pricing, null)], [new RouteRule("", [], [new BackendRef(new ServiceName("shop", "pricing-v1"), 80, 9), new BackendRef(new ServiceName("shop", "pricing-v2"), 80, 1)])])],
        };
    }

    private static MeshModel Shop(params string[] names) => new()
    {
        Services = names.Select((n, i) => new Service(new ServiceName("shop", n), [new ServicePort("", 80, null)], [new ServiceEndpoint("", $"10.0.0.{i + 1}", 80, $"{n}-sa", true, "a", true)]))
            .ToImmutableDictionary(s => s.Name),
    };
}
