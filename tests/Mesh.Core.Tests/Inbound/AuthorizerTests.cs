using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Net;
using Mesh.Config;
using Mesh.Core.Tests.Policy;
using Mesh.Inbound;
using Mesh.Policy;
using Mesh.Resilience;
using Mesh.Traffic;
using Microsoft.Extensions.Logging.Testing;
using Xunit;

namespace Mesh.Core.Tests.Inbound;

public sealed class AuthorizerTests
{
    private const string Name = "meshlib/inbound?address=127.0.0.1:80";
    private static readonly RbacFilter DenyAll = new(new RbacRules(RbacAction.Deny, [new RbacPolicy("deny-all", [new RbacCondition.Always()], [new RbacCondition.Always()])]), null);
    private static readonly RbacFilter AllowNone = new(new RbacRules(RbacAction.Allow, []), null);
    private readonly InMemoryConfigSource _source = new();
    private readonly FakeLogger<InboundTable> _logger = new();

    [Fact]
    public void From_NothingToRestrict_IsNull()
    {
        Assert.Null(Authorizer.From((FilterChain?)null));
        Assert.Null(Authorizer.From(Chain(new HttpConnectionManager(null, null, null))));
        Assert.Null(Authorizer.From(Chain(Manager(RbacFilter.None))));
        Assert.NotNull(Authorizer.From(Chain(Manager(DenyAll))));
    }

    [Fact]
    [Trait("gRFC", "A41")]
    public void For_RoutesThatOverride_TheMostSpecificReplacesTheFilterAsAWhole()
    {
        var off = Overrides("rbac", null);
        var routes = new RouteConfiguration(
            "in",
            [
                new VirtualHost("catalog", ["catalog"], [Route("/open") with { FilterOverrides = off }, Route("/shut"), Route("/none") with { FilterOverrides = Overrides("rbac", AllowNone) }]),
                new VirtualHost("cart", ["cart"], [Route("/open"), Route("/shut") with { FilterOverrides = Overrides("rbac", DenyAll) }, Route("/strange") with { FilterOverrides = Overrides("other", null) }]) { FilterOverrides = off },
            ]);
        var authorizer = Authorizer.From(Chain(Manager(DenyAll) with { Inline = routes }))!;

        Assert.True(authorizer.NeedsHead);
        Assert.Equal(PolicyStage.None, Decide("catalog", "/open").Stage);
        Assert.Equal(PolicyStage.Deny, Decide("catalog", "/shut").Stage);
        Assert.Equal(PolicyStage.Default, Decide("catalog", "/none").Stage);
        Assert.Equal(PolicyStage.None, Decide("cart", "/open").Stage);
        Assert.Equal(PolicyStage.Deny, Decide("CART:80", "/shut").Stage);
        Assert.Equal(PolicyStage.None, Decide("cart", "/strange").Stage);
        Assert.Equal(PolicyStage.Deny, Decide("catalog", "/no-route").Stage);
        Assert.Equal(PolicyStage.Deny, Decide("no-host", "/open").Stage);

        PolicyDecision Decide(string host, string path)
        {
            var head = new FakeHead("GET", path, host);
            return authorizer.For(head, new Random(1)).Decide(new RbacRequest(head, new RbacConnection(null, null, null), VerifiedClaims.None));
        }
    }

    [Fact]
    public void From_ConnectionRules_HoldForEveryRouteToo()
    {
        var routes = new RouteConfiguration("in", [new VirtualHost("any", ["*"], [Route("/") with { FilterOverrides = Overrides("rbac", null) }])]);
        var authorizer = Authorizer.From(Chain(Manager(RbacFilter.None) with { Inline = routes }) with { ConnectionRules = [DenyAll] })!;
        var head = new FakeHead("GET", "/");

        Assert.Equal("deny-all", authorizer.For(head, new Random(1)).Decide(new RbacRequest(head, new RbacConnection(null, null, null), VerifiedClaims.None)).Rule);
    }

    [Fact]
    public void Policy_BothChains_HaveTheirOwnRules()
    {
        using var table = Table(null);
        var address = table.Open(new IPEndPoint(IPAddress.Loopback, 80));
        var mesh = new FilterChain("mesh", TransportProtocol.Tls, true, true) { Http = Manager(AllowNone) };
        var plain = new FilterChain("plain", TransportProtocol.Any, false, false) { IsOpaque = true, ConnectionRules = [DenyAll] };
        Publish(mesh, plain);

        var policy = address.Policy!;
        Assert.NotSame(policy.Authorizer(true), policy.Authorizer(false));
        Assert.Equal((false, true), (policy.IsOpaque(true), policy.IsOpaque(false)));
        Publish(mesh);
        Assert.NotNull(address.Policy!.Authorizer(false));
        Assert.False(address.Policy.Plaintext);
    }

    [Fact]
    public void Publish_TellsThoseWhoWatchAfterItIsInForce()
    {
        using var table = Table(null);
        var address = table.Open(new IPEndPoint(IPAddress.Loopback, 80));
        var seen = new List<bool>();
        address.Changed += () => seen.Add(address.Policy!.Plaintext);

        Publish(new FilterChain("mesh", TransportProtocol.Tls, true, true));
        Publish(new FilterChain("mesh", TransportProtocol.Tls, true, true), new FilterChain("plain", TransportProtocol.Any, false, false));
        _source.Set(_source.Snapshots.Current);

        Assert.Equal([false, true], seen);
    }

    public static TheoryData<string, bool, bool> UnlistedForms => new() { { "allow", true, true }, { "allow-authenticated", false, true }, { "deny", false, false } };

    [Theory]
    [MemberData(nameof(UnlistedForms))]
    public void Unlisted_ByTheOperatorsWord_IsSaidOnce(string word, bool plain, bool mesh)
    {
        var unlisted = new[] { Unlisted.Allow, Unlisted.AllowAuthenticated, Unlisted.Deny }.Single(u => u.Word == word);
        using var table = Table(unlisted);
        var address = table.Open(new IPEndPoint(IPAddress.Loopback, 80));
        _source.Set(MeshSnapshot.Empty);
        _source.Set(MeshSnapshot.Empty);

        Assert.Equal((plain, mesh), (Allows(false), Allows(true)));
        Assert.Null(table.Undescribed.Authorizer(true));
        Assert.Contains($"Mesh:Server:UnlistedAccess is {word}", Assert.Single(_logger.Collector.GetSnapshot()).Message, StringComparison.Ordinal);

        bool Allows(bool isMesh)
        {
            var connection = new RbacConnection(isMesh ? new RbacCaller(["spiffe://d/a"], [], "") : null, null, null);
            return address.Policy!.Authorizer(isMesh)?.For(null, new Random(1)).Decide(new RbacRequest(null, connection, VerifiedClaims.None)).IsAllowed ?? true;
        }
    }

    private InboundTable Table(Unlisted? unlisted) => new(_source, "meshlib/inbound?address=", ServerLimits.None, TimeProvider.System, _logger, unlisted: unlisted);

    private void Publish(params FilterChain[] chains) => _source.Set(MeshSnapshot.Empty with
    {
        Listeners = ImmutableDictionary<string, ListenerResult>.Empty.Add(Name, new ListenerResult.Found(new Listener(Name) { FilterChains = chains }, null)),
    });

    private static FilterChain Chain(HttpConnectionManager http) => new("mesh", TransportProtocol.Tls, true, true) { Http = http };

    private static HttpConnectionManager Manager(RbacFilter filter) => new(null, null, null) { Filters = [new HttpFilter("rbac", filter)] };

    private static Route Route(string path) => new(path, new RouteMatch(new StringMatcher(StringMatchKind.Prefix, path), [], null), new RouteAction.NotForwarding("inbound"));

    private static FilterOverrides Overrides(string name, HttpFilterSettings? settings) => new(new Dictionary<string, HttpFilterSettings?> { [name] = settings }.ToFrozenDictionary());
}
