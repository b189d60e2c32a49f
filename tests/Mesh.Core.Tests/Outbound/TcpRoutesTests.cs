using Mesh.Identity;
using Mesh.Routing;
using Mesh.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Outbound;

public sealed class TcpRoutesTests : IDisposable
{
    private readonly TestCa _ca = new("cluster.local");
    private readonly ClusterRegistry _registry;

    public TcpRoutesTests() => _registry = new ClusterRegistry(new FixedIdentitySource(_ca.Identity("shop", "storefront")), new FakeTimeProvider(), NullLoggerFactory.Instance);

    public void Dispose() => _ca.Dispose();

    [Theory]
    [InlineData("db.example.com", "exact")]
    [InlineData("DB.Example.COM", "exact")]
    [InlineData("x.db.example.com", "long")]
    [InlineData("a.b.db.example.com", "long")]
    [InlineData("www.example.com", "short")]
    [InlineData("a.www.example.com", "short")]
    [InlineData("example.com", "default")]
    [InlineData(".example.com", "default")]
    [InlineData("xexample.com", "default")]
    [InlineData("localhost", "default")]
    [InlineData("", "default")]
    [InlineData(null, "default")]
    public void Pick_ServerName_ExactThenLongestWildcardThenDefault(string? sni, string cluster)
    {
        var routes = new TcpRoutes([To("short", "*.example.com"), To("exact", "db.example.com", "other.test"), To("long", "*.db.example.com"), To("default")]);

        Assert.Equal(cluster, routes.Pick(sni, new Random(1))?.Name);
        Assert.True(routes.NeedsServerName);
    }

    [Fact]
    public void Pick_NoDefault_TakesOnlyWhatIsNamed()
    {
        var routes = new TcpRoutes([To("exact", "db.example.com")]);

        Assert.Null(routes.Pick(null, new Random(1)));
        Assert.Null(routes.Pick("www.example.com", new Random(1)));
        Assert.Equal("exact", routes.Pick("db.example.com", new Random(1))?.Name);
    }

    [Fact]
    public void Pick_Weights_AreKept()
    {
        var routes = new TcpRoutes([([], new WeightedClusters<OutboundCluster>([(Cluster("a"), 3), (Cluster("b"), 1)]))]);
        var random = new Random(7);
        var picks = Enumerable.Range(0, 4_000).CountBy(_ => routes.Pick("any.test", random)!.Name).ToDictionary();

        Assert.False(routes.NeedsServerName);
        Assert.InRange(picks["a"], 2_850, 3_150);
    }

    private (IReadOnlyList<string> ServerNames, WeightedClusters<OutboundCluster> Clusters) To(string cluster, params string[] names) =>
        (names, new WeightedClusters<OutboundCluster>([(Cluster(cluster), 1)]));

    private OutboundCluster Cluster(string name) => _registry.Get(name);
}
