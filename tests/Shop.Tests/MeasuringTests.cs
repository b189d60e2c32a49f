using System.Text.Json.Nodes;
using Shop.Story;

namespace Shop.Tests;

public sealed class MeasuringTests
{
    [Fact]
    public void Counter_ControlPlaneForgot_GoesOnCounting()
    {
        var counter = new EndpointCounter();
        counter.Observe([new("catalog", "a", 100)]);
        counter.Observe([new("catalog", "a", 150)]);
        var before = counter.Totals();
        counter.Observe([new("catalog", "a", 148)]); // restored from a slightly older store
        counter.Observe([new("catalog", "a", 160)]);
        counter.Observe([new("catalog", "a", 5), new("catalog", "b", 7)]); // from zero
        counter.Observe([new("catalog", "a", 6)]);

        Assert.Equal([new("catalog", "a", 18), new("catalog", "b", 7)], EndpointCounter.Between(before, counter.Totals()));
    }

    [Fact]
    public void Shares_AreOfTheRightServices()
    {
        EndpointCount[] counts = [new("catalog", "a", 1), new("catalog", "b", 3), new("pricing-v1", "c", 60), new("pricing-v2", "d", 40)];

        Assert.Equal((0.4, 100L), Checks.PricingV2Share(counts));
        Assert.Equal(0.25, Checks.ShareOf([.. counts.Where(count => count.Service == "catalog")], "a"));
        Assert.Equal(0, Checks.ShareOf([], "a"));
    }

    [Fact]
    public void Renewals_OfReplicas_AreCountedByNode()
    {
        MeshClient[] clients = [new("catalog~1~shop", "spiffe://x/catalog"), new("catalog~2~shop", "spiffe://x/catalog"), new("cart~1~shop", "spiffe://x/cart")];
        var at = DateTimeOffset.UnixEpoch;
        IssuedIdentity[] byNode =
        [
            new("spiffe://x/catalog", "catalog~1~shop", "1", at, at, at), new("spiffe://x/catalog", "catalog~1~shop", "2", at, at, at),
            new("spiffe://x/cart", "cart~1~shop", "3", at, at, at), new("spiffe://x/cart", "ipv4:127.0.0.1:9", "4", at, at, at),
        ];

        var renewals = Checks.Renewals(clients, byNode);

        Assert.Equal([2, 0, 1], clients.Select(client => renewals[client.Id]));
    }

    [Fact]
    public void Summary_Json_IsAsPromised()
    {
        var summary = new Summary(
            [new Pair("storefront", "catalog", 10, 1, 1, 2.5, 1, 2, 3, 1, 0)], [new EndpointCount("pricing-v1", "127.0.0.1:1", 9)], new EdgeCount(10, 0), new MeshStatus(10, 40, 0), new Timing(1, 2, 3));

        var expected = JsonNode.Parse("""
            {"pairs":[{"source":"storefront","destination":"catalog","requests":10,"success_rate":1,"effective_success_rate":1,"rps":2.5,
              "p50_ms":1,"p95_ms":2,"p99_ms":3,"mtls_share":1,"retries":0}],
             "endpoints":[{"service":"pricing-v1","address":"127.0.0.1:1","requests":9}],"edge":{"requests":10,"failures":0},
             "control_plane":{"clients":10,"acks":40,"nacks":0},"timing":{"restore_s":1,"build_s":2,"first_mesh_request_s":3}}
            """);
        Assert.True(JsonNode.DeepEquals(expected, JsonNode.Parse(summary.ToJson())), summary.ToJson());

        var story = JsonNode.Parse((summary with { Story = [new StepSummary("kill", 0, "done", [])] }).ToJson())!["story"];
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse("""[{"step":"kill","failures_at_edge":0,"detail":"done","endpoints":[]}]"""), story));
    }

    [Fact]
    public void ReadyLine_IsRead()
    {
        var ready = ReadyLine.Parse("""{"ready":true,"ads":"127.0.0.1:1","grpc":"127.0.0.1:2","http":"http://127.0.0.1:3","trust_bundle":"/b.pem","token":"t"}""");

        Assert.Equal((new Uri("http://127.0.0.1:3"), "/b.pem", "t"), (ready.Http, ready.TrustBundle, ready.Token));
    }

    [Theory]
    [InlineData("{")]
    [InlineData("{}")]
    [InlineData("""{"ready":false}""")]
    [InlineData("""{"ready":true,"http":"nowhere","trust_bundle":"b","token":"t"}""")]
    public void ReadyLine_Wrong_IsAClearError(string line) => Assert.Throws<ShopException>(() => ReadyLine.Parse(line));

    [Fact]
    public void Table_Pair_LinesUp()
    {
        var text = PairTable.Render([new Pair("storefront", "catalog", 10, 0.5, 1, 2.5, 1, null, 3, 1, 7)]);

        Assert.Equal(
            """
            SRC         DST      SUCCESS  EFFECTIVE  RPS    P50  P95    P99  SECURED  RETRIES
            storefront  catalog   50.00%    100.00%  2.5  1.0ms    -  3.0ms  100.00%        7

            """,
            text,
            ignoreLineEndingDifferences: true);
    }

    [Fact]
    public void Ports_Taken_AreDistinctAndBelowTheOutgoingRange()
    {
        var ports = new Ports(new Random(1));

        var taken = Enumerable.Range(0, 50).Select(_ => ports.Take()).ToList();

        Assert.Equal(50, taken.Distinct().Count());
        Assert.All(taken, port => Assert.InRange(port, 1024, 32_767));
    }
}
