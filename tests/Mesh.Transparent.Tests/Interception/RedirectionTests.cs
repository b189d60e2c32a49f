using System.Net;
using System.Net.Sockets;
using Mesh.Transparent.Interception;
using Xunit;

namespace Mesh.Transparent.Tests.Interception;

/// <summary>The program's rules in a real kernel: who meets whom, between two network namespaces.</summary>
public sealed class RedirectionTests
{
    public static TheoryData<string, bool> EveryWay => new()
    {
        { "nft", false },
        { "nft", true },
        { "iptables-nft", false },
        { "iptables-nft", true },
        { "iptables-legacy", false },
        { "iptables-legacy", true },
    };

    [Theory]
    [MemberData(nameof(EveryWay))]
    public async Task Outbound_OfTheApp_MeetsTheProxyWhichKnowsWhereItWasGoing(string backend, bool ipV6)
    {
        await using var stage = await Stage.SetAsync("--backend", backend);
        using var proxy = stage.Listen(stage.A, Stage.Proxy, Stage.Loopback(ipV6), 4140);
        using var service = stage.Listen(stage.B, Stage.App, Stage.AddressOf(stage.B, ipV6), 8080);

        // Another pod, and a Service's address, which no machine has.
        foreach (var address in (IPAddress[])[Stage.AddressOf(stage.B, ipV6), IPAddress.Parse(ipV6 ? "fd96::5" : "10.96.0.5")])
        {
            var accepted = await stage.MeetAsync(stage.A, Stage.App, address, 8080, proxy);
            Assert.True(OriginalDestination.TryRead(accepted, out var original));
            Assert.Equal(new IPEndPoint(address, 8080), original);
        }

        // The proxy's own connection is not sent back to it.
        var direct = await stage.MeetAsync(stage.A, Stage.Proxy, Stage.AddressOf(stage.B, ipV6), 8080, service);
        Assert.False(OriginalDestination.TryRead(direct, out _));
    }

    [Theory]
    [MemberData(nameof(EveryWay))]
    public async Task Inbound_FromAnotherPod_MeetsTheProxyExceptOnAdminAndSkippedPorts(string backend, bool ipV6)
    {
        await using var stage = await Stage.SetAsync("--backend", backend, "--skip-inbound-ports", "22,9000-9001");
        var address = Stage.AddressOf(stage.A, ipV6);
        using var proxy = stage.Listen(stage.A, Stage.Proxy, IPAddress.IPv6Any, 4143);
        using var app = stage.Listen(stage.A, Stage.App, IPAddress.IPv6Any, 8080);

        var accepted = await stage.MeetAsync(stage.B, Stage.App, address, 8080, proxy);
        Assert.True(OriginalDestination.TryRead(accepted, out var original));
        Assert.Equal(new IPEndPoint(address, 8080), original);

        foreach (var port in (int[])[RedirectRules.AdminPort, 22, 9001])
        {
            using var skipped = stage.Listen(stage.A, Stage.App, IPAddress.IPv6Any, port);
            await stage.MeetAsync(stage.B, Stage.App, address, port, skipped);
        }

        // Dialled on its own port the proxy is not told of anything else.
        Assert.False(OriginalDestination.TryRead(await stage.MeetAsync(stage.B, Stage.App, address, 4143, proxy), out _));
    }

    [Theory]
    [MemberData(nameof(EveryWay))]
    public async Task WithinThePod_NothingIsRedirected(string backend, bool ipV6)
    {
        await using var stage = await Stage.SetAsync("--backend", backend);
        using var outbound = stage.Listen(stage.A, Stage.Proxy, Stage.Loopback(ipV6), 4140);
        using var inbound = stage.Listen(stage.A, Stage.Proxy, IPAddress.IPv6Any, 4143);
        using var app = stage.Listen(stage.A, Stage.App, IPAddress.IPv6Any, 8080);

        // Loopback, and the pod's own address: as Linkerd has it. The proxy's call to the app goes the same way.
        foreach (var address in (IPAddress[])[Stage.Loopback(ipV6), Stage.AddressOf(stage.A, ipV6)])
        {
            await stage.MeetAsync(stage.A, Stage.App, address, 8080, app);
            await stage.MeetAsync(stage.A, Stage.Proxy, address, 8080, app);
        }
    }

    [Theory]
    [MemberData(nameof(EveryWay))]
    public async Task Outbound_SkippedPortsAndSubnets_GoDirectly(string backend, bool ipV6)
    {
        var subnet = ipV6 ? "fd77::2/127" : "10.77.0.2/31";
        await using var stage = await Stage.SetAsync("--backend", backend, "--skip-outbound-ports", "25,8000-8010", "--proxy-gid", "77");
        var address = Stage.AddressOf(stage.B, ipV6);
        using var proxy = stage.Listen(stage.A, Stage.Proxy, Stage.Loopback(ipV6), 4140);
        using var skipped = stage.Listen(stage.B, Stage.App, address, 8010);
        using var other = stage.Listen(stage.B, Stage.App, address, 8011);

        await stage.MeetAsync(stage.A, Stage.App, address, 8010, skipped);
        await stage.MeetAsync(stage.A, Stage.App, address, 8011, proxy);
        await stage.MeetAsync(stage.A, 77, address, 8011, other);

        await ProxyProgram.InitAsync(stage.A.Namespace, "--backend", backend, "--skip-subnets", subnet);
        await stage.MeetAsync(stage.A, Stage.App, address, 8011, other);
        await stage.MeetAsync(stage.A, Stage.App, IPAddress.Parse(ipV6 ? "fd77::4" : "10.77.0.4"), 8010, proxy);
    }

    [Theory]
    [InlineData("nft")]
    [InlineData("iptables-nft")]
    [InlineData("iptables-legacy")]
    public async Task Inbound_OnlyListedPorts_OthersReachTheApp(string backend)
    {
        await using var stage = await Stage.SetAsync("--backend", backend, "--inbound-ports", "80,8080-8081");
        using var proxy = stage.Listen(stage.A, Stage.Proxy, IPAddress.IPv6Any, 4143);
        using var other = stage.Listen(stage.A, Stage.App, IPAddress.IPv6Any, 8082);

        await stage.MeetAsync(stage.B, Stage.App, stage.A.IpV4, 8081, proxy);
        await stage.MeetAsync(stage.B, Stage.App, stage.A.IpV6, 80, proxy);
        await stage.MeetAsync(stage.B, Stage.App, stage.A.IpV4, 8082, other);
    }

    [Theory]
    [InlineData("nft")]
    [InlineData("iptables-nft")]
    [InlineData("iptables-legacy")]
    public async Task NoIpV6_AfterAnInitWithIt_LeavesIpV6Alone(string backend)
    {
        await using var stage = await Stage.SetAsync("--backend", backend);
        await ProxyProgram.InitAsync(stage.A.Namespace, "--backend", backend, "--no-ipv6");
        using var proxy = stage.Listen(stage.A, Stage.Proxy, IPAddress.Loopback, 4140);
        using var service = stage.Listen(stage.B, Stage.App, IPAddress.IPv6Any, 8080);

        await stage.MeetAsync(stage.A, Stage.App, stage.B.IpV4, 8080, proxy);
        await stage.MeetAsync(stage.A, Stage.App, stage.B.IpV6, 8080, service);
        Assert.Equal(SocketError.ConnectionRefused, await stage.RefusedAsync(stage.B, Stage.App, stage.A.IpV6, 8080));
    }

    [Fact]
    public async Task Init_OverNetlink_IsWhatDryRunSaysToNft()
    {
        string[] options =
        [
            "--proxy-gid", "2103", "--skip-outbound-ports", "25,8000-8100", "--skip-subnets", "10.0.0.0/8,172.16.0.0/12,fd00::/9,2001:db8::1,192.0.2.7",
            "--skip-inbound-ports", "22,4191,9000-9001", "--inbound-ports", "80,8080-8090",
        ];
        foreach (var more in (string[][])[[], ["--no-ipv6"]])
        {
            await using var stage = await Stage.SetAsync([.. options, .. more]);
            var text = (await ProxyProgram.RunAsync(stage.B.Namespace, Stage.App, ["init", .. options, .. more, "--dry-run"])).Output;
            var path = Path.GetTempFileName();
            try
            {
                await File.WriteAllTextAsync(path, text, TestContext.Current.CancellationToken);
                var loaded = await stage.B.Namespace.RunAsync(null, "nft", ["-f", path]);
                Assert.True(loaded.ExitCode == 0, loaded.Errors + text);
            }
            finally
            {
                File.Delete(path);
            }

            var written = await Stage.RulesetAsync(stage.A);
            Assert.Contains("tcp dport 8080-8090 redirect to :4143", written, StringComparison.Ordinal);
            Assert.Equal(await Stage.RulesetAsync(stage.B), written);
        }
    }

    [Fact]
    public async Task Init_HundredsOfSkips_AreOneTransaction()
    {
        var ports = string.Join(',', Enumerable.Range(0, 256).Select(i => $"{10000 + (2 * i)}"));
        var subnets = string.Join(',', Enumerable.Range(0, 256).Select(i => $"2001:db8:{i:x}::/48"));
        await using var stage = await Stage.SetAsync("--skip-inbound-ports", ports, "--skip-outbound-ports", ports, "--skip-subnets", subnets);

        var ruleset = await Stage.RulesetAsync(stage.A);

        Assert.Equal(512, ruleset.Split("tcp dport 1").Length - 1);
        Assert.Equal(256, ruleset.Split("ip6 daddr").Length - 1);
    }

    [Theory]
    [InlineData("nft")]
    [InlineData("iptables-nft")]
    public async Task InitTwiceAndUndo_NextToForeignRules_LeaveThemAsTheyWere(string backend)
    {
        await using var stage = await Stage.SetAsync();
        await ForeignAsync(stage, "nft", "add table inet other; add chain inet other output { type nat hook output priority -99; }; add rule inet other output tcp dport 1 return");
        foreach (var iptables in (string[])["iptables-nft", "ip6tables-nft"])
        {
            await ForeignAsync(stage, iptables, "-t nat -N FOREIGN");
            await ForeignAsync(stage, iptables, "-t nat -A OUTPUT -p tcp --dport 2 -j FOREIGN");
            await ForeignAsync(stage, iptables, "-t nat -A PREROUTING -p tcp --dport 3 -j FOREIGN");
        }

        var before = await Stage.RulesetAsync(stage.A);

        await ProxyProgram.InitAsync(stage.A.Namespace, "--backend", backend, "--skip-outbound-ports", "25");
        await ProxyProgram.InitAsync(stage.A.Namespace, "--backend", backend);
        var once = await Stage.RulesetAsync(stage.A);
        await ProxyProgram.InitAsync(stage.A.Namespace, "--backend", backend);
        Assert.Equal(once, await Stage.RulesetAsync(stage.A));
        Assert.DoesNotContain("dport 25", once, StringComparison.Ordinal);
        Assert.Contains("tcp dport 1 return", once, StringComparison.Ordinal);
        Assert.Contains("tcp dport 2", once, StringComparison.Ordinal);

        await ProxyProgram.InitAsync(stage.A.Namespace, "--backend", backend, "--undo");
        Assert.Equal(before, await Stage.RulesetAsync(stage.A));
        await ProxyProgram.InitAsync(stage.A.Namespace, "--backend", backend, "--undo");
        Assert.Equal(before, await Stage.RulesetAsync(stage.A));
    }

    [Theory]
    [InlineData("iptables")]
    [InlineData("ip6tables")]
    public async Task InitTwiceAndUndo_OfLegacyTables_LeaveForeignRulesAsTheyWere(string iptables)
    {
        await using var stage = await Stage.SetAsync();
        await ForeignAsync(stage, $"{iptables}-legacy", "-t nat -A OUTPUT -p tcp --dport 2 -j RETURN");
        var before = await LegacyAsync(stage, iptables);

        await ProxyProgram.InitAsync(stage.A.Namespace, "--backend", "iptables-legacy");
        var once = await LegacyAsync(stage, iptables);
        await ProxyProgram.InitAsync(stage.A.Namespace, "--backend", "iptables-legacy");

        Assert.Equal(once, await LegacyAsync(stage, iptables));
        Assert.Contains("-A OUTPUT -p tcp -j MESH_OUTPUT", once, StringComparison.Ordinal);
        await ProxyProgram.InitAsync(stage.A.Namespace, "--backend", "iptables-legacy", "--undo");
        Assert.Equal(before, await LegacyAsync(stage, iptables));
        await ProxyProgram.InitAsync(stage.A.Namespace, "--backend", "iptables-legacy", "--undo");
    }

    [Theory]
    [InlineData("nft")]
    [InlineData("iptables-nft")]
    [InlineData("iptables-legacy")]
    public async Task Init_WithoutTheCapability_Is77AndSaysHow(string backend)
    {
        await using var stage = await Stage.SetAsync();

        var result = await ProxyProgram.RunAsync(stage.A.Namespace, Stage.App, "init", "--backend", backend);

        Assert.Equal(77, result.ExitCode);
        Assert.Contains("NET_ADMIN", result.Errors, StringComparison.Ordinal);
        Assert.Equal("", await Stage.RulesetAsync(stage.A));
    }

    [Fact]
    public async Task InitRun_WritesTheRulesAndIsTheProxyThen()
    {
        await using var stage = await Stage.SetAsync();

        // With no settings the proxy says what it misses, and ends: as one who can't change the rules any more.
        var result = await ProxyProgram.RunAsync(stage.A.Namespace, null, "init", "--run", "--skip-outbound-ports", "25");

        Assert.Equal(1, result.ExitCode);
        Assert.Contains("MESH_CONTROL_PLANE is not set", result.Errors, StringComparison.Ordinal);
        Assert.Contains("mesh_proxy", await Stage.RulesetAsync(stage.A), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("nft")]
    [InlineData("iptables-nft")]
    [InlineData("iptables-legacy")]
    public async Task Validate_WithRules_MeetsItself(string backend)
    {
        await using var stage = await Stage.SetAsync("--backend", backend, "--outbound-port", "5140");

        var result = await ProxyProgram.RunAsync(stage.A.Namespace, 65534, "validate", "--ipv6", "--outbound-port", "5140");

        Assert.True(result.ExitCode == 0, result.Errors);
        Assert.Contains("IPv4 and IPv6", result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Validate_WithoutRules_Is95WithTheReason()
    {
        await using var stage = await Stage.SetAsync();
        using var taken = stage.Listen(stage.A, Stage.App, IPAddress.Loopback, 5140);

        var nothing = await ProxyProgram.RunAsync(stage.A.Namespace, 65534, "validate", "--timeout", "500ms");
        Assert.Equal(95, nothing.ExitCode);
        Assert.Contains("1.1.1.1:20001", nothing.Errors, StringComparison.Ordinal);
        Assert.Contains("mesh-proxy init", nothing.Errors, StringComparison.Ordinal);

        var inUse = await ProxyProgram.RunAsync(stage.A.Namespace, 65534, "validate", "--outbound-port", "5140");
        Assert.Equal(1, inUse.ExitCode);
        Assert.Contains("port 5140", inUse.Errors, StringComparison.Ordinal);

        await ProxyProgram.InitAsync(stage.A.Namespace, "--no-ipv6");
        Assert.Equal(95, (await ProxyProgram.RunAsync(stage.A.Namespace, 65534, "validate", "--ipv6", "--timeout", "500ms")).ExitCode);
        var exempt = await ProxyProgram.RunAsync(stage.A.Namespace, Stage.Proxy, "validate", "--timeout", "500ms");
        Assert.Equal(95, exempt.ExitCode);
        Assert.Contains("user 2102, the proxy's own", exempt.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Validate_SomethingElseAnswers_Is95()
    {
        await using var stage = await Stage.SetAsync("--outbound-port", "5140");
        using var other = stage.Listen(stage.A, Stage.App, IPAddress.Loopback, 5140);

        var result = await ProxyProgram.RunAsync(stage.A.Namespace, 65534, "validate", "--timeout", "3s");

        Assert.Equal(95, result.ExitCode);
        Assert.Contains("connected to another listener", result.Errors, StringComparison.Ordinal);
    }

    private static async Task ForeignAsync(Stage stage, string program, string arguments)
    {
        var result = await stage.A.Namespace.RunAsync(null, program, program == "nft" ? [arguments] : arguments.Split(' '));
        Assert.True(result.ExitCode == 0, result.Errors);
    }

    /// <summary>The old tables as text, without the lines that carry the time.</summary>
    private static async Task<string> LegacyAsync(Stage stage, string iptables)
    {
        var result = await stage.A.Namespace.RunAsync(null, $"{iptables}-legacy-save", ["-t", "nat"]);
        return string.Join('\n', result.Output.Split('\n').Where(line => !line.StartsWith('#')));
    }
}
