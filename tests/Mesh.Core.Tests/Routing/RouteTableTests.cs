using Mesh.Config;
using Mesh.Traffic;
using Xunit;

namespace Mesh.Routing;

public sealed class RouteTableTests
{
    private static readonly RouteAction Action = new RouteAction.Forward([new("c", 1)]);

    [Theory]
    [InlineData("cart.shop", "exact")]
    [InlineData("CART.shop", "exact")]
    [InlineData("cart.shop:80", "exact")]
    [InlineData("a.long.suffix", "long suffix")]
    [InlineData("a.b.suffix", "suffix")]
    [InlineData("pre.x", "prefix")]
    [InlineData("prefix.x", "long prefix")]
    [InlineData("else", "any")]
    [InlineData("[::1]", "any")]
    [Trait("gRFC", "A27")]
    public void Find_Authority_PrefersTheMostSpecific(string authority, string expected)
    {
        var table = Compile(
            Host("any", "*"), Host("suffix", "*.suffix"), Host("long suffix", "*.long.suffix"), Host("prefix", "pre*"), Host("long prefix", "prefix.*"), Host("exact", "cart.shop"), Host("never", "cart.shop"));

        Assert.Equal(expected, table.Find(authority)?.Name);
    }

    [Fact]
    public void Find_NoDomainMatches_IsNull() => Assert.Null(Compile(Host("a", "cart")).Find("catalog"));

    [Fact]
    public void Match_SeveralRoutes_FirstWins()
    {
        var host = new VirtualHostRoutes<Route>(
            new VirtualHost("h", ["*"], [
                Route("deep", new(StringMatchKind.PathPrefix, "/a/b")),
                Route("shallow", new(StringMatchKind.PathPrefix, "/a")),
                Route("unreached", new(StringMatchKind.PathPrefix, "/a")),
            ]),
            r => r);

        Assert.Equal("deep", host.Match(new Head("GET", "/a/b/c"), new Random(1))?.Name);
        Assert.Equal("shallow", host.Match(new Head("GET", "/a"), new Random(1))?.Name);
        Assert.Null(host.Match(new Head("GET", "/ab"), new Random(1)));
        Assert.Null(host.Unconditional);
    }

    [Theory]
    [InlineData("GET", "v2", "x=1&y=a%20b", true)]
    [InlineData("GET", "v2", "y=a+b", true)]
    [InlineData("POST", "v2", "y=a%20b", false)]
    [InlineData("GET", "v1", "y=a%20b", false)]
    [InlineData("GET", null, "y=a%20b", false)]
    [InlineData("GET", "v2", "yy=a%20b", false)]
    [InlineData("GET", "v2", "", false)]
    public void Matches_MethodHeaderAndQuery_AllMustHold(string method, string? version, string query, bool expected)
    {
        var matcher = new RouteMatcher(new RouteMatch(
            null,
            [new(":method", HeaderMatchKind.Text, new(StringMatchKind.Exact, "GET")), new("version", HeaderMatchKind.Text, new(StringMatchKind.Exact, "v2"))],
            null)
        {
            QueryParameters = [new("y", HeaderMatchKind.Text, new(StringMatchKind.Exact, "a b"))],
        });

        Assert.Equal(expected, matcher.Matches(new Head(method, "/", query, version), new Random(1)));
    }

    [Fact]
    [Trait("gRFC", "A28")]
    public void Matches_Fraction_TakesThatShare()
    {
        var matcher = new RouteMatcher(new RouteMatch(null, [], 250_000));
        var random = new Random(1);

        Assert.InRange(Enumerable.Range(0, 10_000).Count(_ => matcher.Matches(new Head("GET", "/"), random)), 2_300, 2_700);
    }

    [Fact]
    [Trait("gRFC", "A28")]
    public void Pick_Weights_AreKept()
    {
        var clusters = new WeightedClusters<string>([("v1", 90), ("v2", 10)]);
        var random = new Random(1);

        Assert.InRange(Enumerable.Range(0, 10_000).Count(_ => clusters.Pick(random) == "v2"), 900, 1_100);
    }

    [Fact]
    public void Pick_WeightsBeyondInt_DoNotOverflow()
    {
        var clusters = new WeightedClusters<string>([("a", int.MaxValue), ("b", int.MaxValue)]);
        var random = new Random(1);

        Assert.InRange(Enumerable.Range(0, 1_000).Count(_ => clusters.Pick(random) == "a"), 400, 600);
    }

    private static RouteTable<Route> Compile(params VirtualHost[] hosts) => new(new RouteConfiguration("r", hosts), r => r);

    private static VirtualHost Host(string name, string domain) => new(name, [domain], []);

    private static Route Route(string name, StringMatcher path) => new(name, new RouteMatch(path, [], null), Action);

    private sealed class Head(string method, string path, string query = "", string? version = null) : RequestHead
    {
        public override string Method => method;

        public override string Authority => "cart";

        public override string Path => path;

        public override string Query => query;

        public override string? Header(string name) => name switch { ":method" => method, "version" => version, _ => null };
    }
}
