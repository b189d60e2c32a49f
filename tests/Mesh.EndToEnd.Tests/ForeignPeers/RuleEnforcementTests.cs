using Grpc.Core;
using Mesh.Protos.Envoy.Rbac;
using Xunit;
using static Mesh.EndToEnd.Tests.ForeignPeers.RbacProtos;
using static Mesh.EndToEnd.Tests.ForeignPeers.RuleCases;

namespace Mesh.EndToEnd.Tests.ForeignPeers;

/// <summary>What grpc-js makes of the rules that we send (gRFC A41). Our translation depends on it; docs/foreign-servers.md is the table.</summary>
[Trait("gRFC", "A41")]
public sealed class GrpcJsRuleTests(GrpcJsRuleTests.Server server) : IClassFixture<GrpcJsRuleTests.Server>
{
    /// <summary>Where it differs from <see cref="RuleCases.All"/>.</summary>
    private static readonly Dictionary<string, Func<RuleCase, RuleCase>> _otherwise = new()
    {
        // It puts ^ and $ around the expression, not around a group.
        ["principal-regex-alternatives-not-grouped"] = c => c.Expecting(new("reports", Add, StatusCode.OK), new("storefront2", Add, StatusCode.OK), new("prod/api", Add, StatusCode.PermissionDenied)),
        // It listens on all addresses of both kinds, sees ::ffff:127.0.0.1, and that is in no IPv4 network.
        ["network-ipv4"] = c => c.Expecting(new RuleCall("storefront", Add, StatusCode.PermissionDenied)),
        ["network-remote-ip"] = c => c.Expecting(new RuleCall("storefront", Add, StatusCode.PermissionDenied)),
        ["network-not"] = c => c.Expecting(new RuleCall("storefront", Add, StatusCode.OK)),
        ["shadow-alone"] = RuleCase.Nacked,
        ["action-log"] = RuleCase.Nacked,
        // Taken and not looked at.
        ["condition"] = c => c with { IsNacked = false, Calls = [new("storefront", Add, StatusCode.OK)] },
        // Nor are overrides.
        ["override-of-route"] = c => c.Expecting(new("storefront", Add, StatusCode.OK), new("storefront", Reset, StatusCode.OK), new("prod/api", Reset, StatusCode.PermissionDenied)),
        ["override-disables"] = c => c.Expecting(new("storefront", Add, StatusCode.PermissionDenied), new("storefront", Reset, StatusCode.PermissionDenied)),
    };

    public static TheoryData<string> Cases => [.. All.Keys];

    [Theory]
    [MemberData(nameof(Cases))]
    public Task Case_EndsAsTold(string name) => server.CheckAsync(_otherwise.GetValueOrDefault(name, c => c)(All[name]));

    [Fact]
    public void UserAgent_IsAsTheControlPlaneKnowsIt()
    {
        NodePeer.SkipUnlessInstalled();
        Assert.Equal("gRPC Node Pure JS", server.UserAgent);
    }

    /// <summary>So it must never be told one.</summary>
    [Fact]
    public async Task Ipv6Network_AsAnIpv4PeerCalls_EndsTheServer()
    {
        NodePeer.SkipUnlessInstalled();
        await using var doomed = new Server();
        await doomed.InitializeAsync();

        var errors = await doomed.EndAsync(AllowFilter(Rule(AnyPath, new Principal { DirectRemoteIp = Cidr("fd00::", 8) })), new RuleCall("storefront", Add, StatusCode.Unavailable));

        Assert.Contains("cidr.js", errors, StringComparison.Ordinal);
    }

    /// <summary>So a filter must not be optional, or a server would be open that nobody told to be.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task RulesSwitchedOff_Filter_IsRefusedUnlessItIsOptional(bool optional)
    {
        NodePeer.SkipUnlessInstalled();
        await using var blind = new BlindServer();
        await blind.InitializeAsync();

        var refusal = await blind.RefusesAsync(Filter(Allow, new Mesh.Protos.Envoy.Filters.RBAC { Rules = Rules(RBAC.Types.Action.Allow) }, optional));

        Assert.Equal(optional, refusal is null);
        if (optional)
        {
            await blind.CheckOpenAsync();
        }
    }

    public sealed class Server() : RuledServer(ForeignServer.GrpcJs);

    private sealed class BlindServer() : RuledServer(ForeignServer.GrpcJs, rules: false);
}

/// <summary>What C-core makes of the rules that we send (gRFC A41). Our translation depends on it; docs/foreign-servers.md is the table.</summary>
[Trait("gRFC", "A41")]
public sealed class CoreRuleTests(CoreRuleTests.Server server) : IClassFixture<CoreRuleTests.Server>
{
    /// <summary>Where it differs from <see cref="RuleCases.All"/>.</summary>
    private static readonly Dictionary<string, Func<RuleCase, RuleCase>> _otherwise = new()
    {
        // 1.51 reads ignore_case the other way round.
        ["path-exact"] = c => c.Expecting(new("storefront", Add, StatusCode.OK), new("storefront", AddInLowerCase, StatusCode.OK), new("storefront", Remove, StatusCode.PermissionDenied)),
        ["path-exact-ignore-case"] = c => c.Expecting(new("storefront", Add, StatusCode.PermissionDenied), new("storefront", AddInLowerCase, StatusCode.OK)),
        ["path-prefix-ignore-case"] = c => c.Expecting(new("storefront", Add, StatusCode.OK), new("storefront", AddInLowerCase, StatusCode.OK)),
        ["header-invert-missing"] = c => c.Expecting(new RuleCall("storefront", Add, StatusCode.OK)),
        ["header-name-in-capitals"] = c => c.Expecting(new RuleCall("storefront", Add, StatusCode.PermissionDenied, ("tenant", "a"))),
        // Older than the field: the listener is refused.
        ["header-string-match"] = RuleCase.Nacked,
    };

    public static TheoryData<string> Cases => [.. All.Keys];

    [Theory]
    [MemberData(nameof(Cases))]
    public Task Case_EndsAsTold(string name) => server.CheckAsync(_otherwise.GetValueOrDefault(name, c => c)(All[name]));

    [Fact]
    public void UserAgent_IsAsTheControlPlaneKnowsIt()
    {
        NodePeer.SkipUnlessInstalled();
        Assert.StartsWith("gRPC C-core ", server.UserAgent, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ipv6Network_OfAnIpv4Peer_DoesNotMatch() =>
        await server.CheckAsync(new RuleCase(
            [AllowFilter(Rule(AnyPath, new Principal { DirectRemoteIp = Cidr("fd00::", 8) }))], [new RuleCall("storefront", Add, StatusCode.PermissionDenied)]));

    public sealed class Server() : RuledServer(ForeignServer.Core);
}
