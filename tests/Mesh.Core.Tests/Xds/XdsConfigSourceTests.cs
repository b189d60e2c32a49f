using Google.Protobuf;
using Mesh.Config;
using Mesh.Hosting;
using Mesh.Protos.Envoy.Discovery;
using Mesh.Testing;
using Mesh.Xds.Decoding;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Xunit;
using static Mesh.Xds.XdsResources;

namespace Mesh.Xds;

/// <summary>The whole way from wire to snapshot, state of the world.</summary>
public sealed class XdsConfigSourceTests : IAsyncLifetime
{
    private const string Lds = XdsTypes.Listener;
    private const string Rds = XdsTypes.RouteConfiguration;
    private const string Cds = XdsTypes.Cluster;
    private const string Eds = XdsTypes.ClusterLoadAssignment;

    private readonly RecordingTimeProvider _time = new();
    private readonly FakeLogCollector _logs = FakeLogCollector.Create(new FakeLogCollectorOptions());
    private ScriptedAdsServer _server = null!;
    private XdsConfigSource _source = null!;

    private MeshSnapshot Snapshot => _source.Snapshots.Current;

    public async ValueTask InitializeAsync()
    {
        _server = await ScriptedAdsServer.StartAsync();
        _source = new XdsConfigSource(
            _server,
            new XdsNode("web~1~shop", "shop", "web", "web", ["127.0.0.1"]) { Locality = new Config.Locality("eu", "eu-a", "") },
            AdsVariant.StateOfTheWorld,
            _time,
            new Random(1),
            new LoggerFactory([new FakeLoggerProvider(_logs)]));
    }

    public async ValueTask DisposeAsync()
    {
        await _source.DisposeAsync();
        await _server.DisposeAsync();
        Assert.DoesNotContain(_logs.GetSnapshot(), r => r.Level >= LogLevel.Error);
    }

    [Fact]
    public async Task Stream_First_CarriesNodeOnceAndNamesNeverWildcard()
    {
        _source.Watch("cart:80");
        var stream = await OpenAsync();
        var first = await stream.NextAsync();
        var second = await stream.NextAsync();

        var node = (first.Node ?? second.Node)!;
        Assert.True(first.Node is not null && second.Node is null);
        Assert.Equal("web~1~shop", node.Id);
        Assert.Equal("mesh", node.UserAgentName);
        Assert.Equal("shop", node.Metadata.Fields["NAMESPACE"].StringValue);
        Assert.Equal("127.0.0.1", node.Metadata.Fields["INSTANCE_IPS"].StringValue);
        Assert.Equal(["xds.config.resource-in-sotw"], node.ClientFeatures);
        Assert.Equal(("eu", "eu-a"), (node.Locality.Region, node.Locality.Zone));
        Assert.All([first, second], r => Assert.NotEmpty(r.ResourceNames));
        Assert.Equal([Lds, XdsTypes.LeafPolicy], new[] { first.TypeUrl, second.TypeUrl }.Order());
    }

    [Fact]
    [Trait("gRFC", "A74")]
    public async Task Watch_AllResourcesArrive_PublishesOnlyTheWhole()
    {
        var stream = await ServeAsync("cart:80", "r", "c", 1001);
        var found = Assert.IsType<ListenerResult.Found>(Snapshot.Listeners["cart:80"]);
        Assert.Equal("c", Assert.IsType<RouteAction.Forward>(found.Routes!.VirtualHosts[0].Routes[0].Action).Clusters[0].Name);
        Assert.Equal(1001, Ports("c").Single());
        Assert.NotNull(stream);
    }

    [Fact]
    public async Task Ack_ValidResponse_CarriesItsVersionNonceAndAllNames()
    {
        _source.Watch("a");
        _source.Watch("b");
        var stream = await OpenAsync();
        var request = await stream.NextAsync(Lds);
        Assert.Equal((string.Empty, string.Empty), (request.VersionInfo, request.ResponseNonce));
        await SendAsync(stream, Lds, "7", "n1", Listener("a", "r"), Listener("b", "r"));
        var ack = await stream.NextAsync(Lds);

        Assert.Equal(("7", "n1"), (ack.VersionInfo, ack.ResponseNonce));
        Assert.Null(ack.ErrorDetail);
        Assert.Equal(["a", "b"], ack.ResourceNames.Order());
    }

    [Fact]
    [Trait("gRFC", "A46")]
    public async Task Nack_OneOfTwoIsBad_GoodOneIsUsedBadOneKeepsItsLastVersion()
    {
        var stream = await ServeAsync("cart:80", "r", "c", 1001);
        _source.Watch("other");
        await stream.NextAsync(Lds);
        var bad = Listener("cart:80", "");
        await SendAsync(stream, Lds, "2", "n9", bad, Listener("other", "r"));
        var nack = await stream.NextAsync(Lds);

        Assert.Equal(("1", "n9"), (nack.VersionInfo, nack.ResponseNonce));
        Assert.Equal(3, nack.ErrorDetail.Code);
        Assert.Contains("cart:80", nack.ErrorDetail.Message, StringComparison.Ordinal);
        Assert.Contains("route_config_name", nack.ErrorDetail.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("other", nack.ErrorDetail.Message, StringComparison.Ordinal);
        await Eventually.Async(() => Snapshot.Listeners.ContainsKey("other"), "the good listener is there");
        Assert.IsType<ListenerResult.Found>(Snapshot.Listeners["cart:80"]);
        var warning = Assert.Single(_logs.GetSnapshot(), r => r.Id.Id == 1004);
        Assert.Equal(LogLevel.Warning, warning.Level);
        Assert.Contains("route_config_name", warning.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nack_SeveralBadAndOneNameless_MessageListsEvery()
    {
        _source.Watch("a");
        _source.Watch("b");
        var stream = await OpenAsync();
        await stream.NextAsync(Lds);
        var broken = Any(Listener("a", "r"));
        broken.Value = ByteString.CopyFrom(0x0A, 0xFF);
        var response = new DiscoveryResponse { TypeUrl = Lds, VersionInfo = "1", Nonce = "n1", Resources = { broken, Any(Listener("a", "")), Any(new Protos.Envoy.Listener.Listener { Name = "b" }) } };
        await stream.SendAsync(response);
        var nack = await stream.NextAsync(Lds);

        Assert.Equal((string.Empty, "n1"), (nack.VersionInfo, nack.ResponseNonce));
        Assert.Contains("resources[0]:", nack.ErrorDetail.Message, StringComparison.Ordinal);
        Assert.Contains("resources[1] 'a'", nack.ErrorDetail.Message, StringComparison.Ordinal);
        Assert.Contains("resources[2] 'b'", nack.ErrorDetail.Message, StringComparison.Ordinal);
        await Eventually.Async(() => Snapshot.Listeners.GetValueOrDefault("b") is ListenerResult.Unavailable, "the invalid listener is unavailable");
    }

    [Fact]
    public async Task Response_TwiceTheSameName_IsRefused()
    {
        _source.Watch("a");
        var stream = await OpenAsync();
        await stream.NextAsync(Lds);
        await SendAsync(stream, Lds, "1", "n1", Listener("a", "r"), Listener("a", "r"));
        Assert.Contains("twice", (await stream.NextAsync(Lds)).ErrorDetail.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Response_EmptyOrUnknownType_EmptyIsAckedUnknownIsLoggedAndNotAnswered()
    {
        _source.Watch("a");
        var stream = await OpenAsync();
        await stream.NextAsync(Lds);
        await SendAsync(stream, "type.googleapis.com/who.Knows", "1", "x");
        await SendAsync(stream, Cds, "1", "y"); // ours, but never asked for: an answer would be a wildcard
        await SendAsync(stream, Lds, "1", "n1");
        while (true)
        {
            var request = await stream.NextAsync();
            Assert.True(request.TypeUrl is Lds or XdsTypes.LeafPolicy);
            if (request.TypeUrl == Lds)
            {
                Assert.Equal(("1", "n1"), (request.VersionInfo, request.ResponseNonce));
                break;
            }
        }

        Assert.Equal(2, _logs.GetSnapshot().Count(r => r.Id.Id == 1005));
    }

    [Fact]
    public async Task Response_WrappedResource_IsUnwrappedAndItsNameCounts()
    {
        _source.Watch("asked");
        var stream = await OpenAsync();
        await stream.NextAsync(Lds);
        await SendAsync(stream, Lds, "1", "n1", new Resource { Name = "asked", Version = "x", Resource_ = Any(Listener("asked", "r")) });
        Assert.Equal(["r"], (await stream.NextAsync(Rds)).ResourceNames);
    }

    [Fact]
    public async Task Response_UnchangedBytes_PublishesNothingButAcks()
    {
        var stream = await ServeAsync("cart:80", "r", "c", 1001);
        var before = Snapshot;
        await SendAsync(stream, Eds, "2", "again", Endpoints("c", 1001));
        var ack = await stream.NextAsync(Eds);
        Assert.Equal(("2", "again"), (ack.VersionInfo, ack.ResponseNonce));
        Assert.Same(before, Snapshot);
    }

    [Fact]
    public async Task Response_NotAskedFor_IsIgnoredEvenWhenBad()
    {
        _source.Watch("a");
        var stream = await OpenAsync();
        await stream.NextAsync(Lds);
        await SendAsync(stream, Lds, "1", "n1", Listener("stranger", ""), Listener("a", "r"));
        Assert.Null((await stream.NextAsync(Lds)).ErrorDetail);
    }

    [Fact]
    public async Task Reconnect_AfterAnswers_KeepsVersionDropsNonceAndWaitsAtMostASecond()
    {
        var stream = await ServeAsync("cart:80", "r", "c", 1001);
        var timers = _time.Timers.Count;
        stream.End();
        await Eventually.Async(() => _time.Timers.Count > timers, "the wait begins");
        Assert.InRange(_time.Timers[^1], TimeSpan.Zero, TimeSpan.FromSeconds(1));
        _time.Advance(TimeSpan.FromSeconds(1));
        stream = (SotwStream)await _server.NextStreamAsync();
        foreach (var type in new[] { Cds, Eds, Lds, Rds })
        {
            var request = await stream.NextAsync(type);
            Assert.Equal(("1", string.Empty), (request.VersionInfo, request.ResponseNonce));
            Assert.Single(request.ResourceNames);
        }

        Assert.IsType<ListenerResult.Found>(Snapshot.Listeners["cart:80"]);
    }

    [Fact]
    [Trait("gRFC", "A57")]
    public async Task Connect_Fails_BacksOffReportsReasonAndRecovers()
    {
        _server.Unreachable = new InvalidOperationException("the wire is cut");
        _source.Watch("cart:80");
        _source.Start();
        var expected = TimeSpan.FromSeconds(1);
        for (var i = 1; i <= 4; i++)
        {
            await Eventually.Async(() => _time.Timers.Count >= i, $"wait {i} begins");
            Assert.InRange(_time.Timers[i - 1], expected * 0.79, expected * 1.21);
            expected *= 1.6;
            if (i == 4)
            {
                _server.Unreachable = null;
            }

            _time.Advance(_time.Timers[i - 1]);
        }

        await Eventually.Async(() => Snapshot.Listeners.ContainsKey("cart:80"), "the listener has a result");
        var reason = Assert.IsType<ListenerResult.Unavailable>(Snapshot.Listeners["cart:80"]).Reason;
        Assert.Contains("the wire is cut", reason, StringComparison.Ordinal);
        Assert.Contains("web~1~shop", reason, StringComparison.Ordinal);
        await AnswerAllAsync((SotwStream)await _server.NextStreamAsync(), "cart:80", "r", "c", 1001);
    }

    [Theory]
    [InlineData(6, 1)]
    [InlineData(1, 1.6 * 1.6)]
    public async Task Reconnect_StreamsWithoutAnswers_BackOffOnlyWhenTheyWereShort(int seconds, double expected)
    {
        _source.Watch("cart:80");
        _source.Start();
        for (var i = 1; i <= 3; i++)
        {
            var stream = (SotwStream)await _server.NextStreamAsync();
            await stream.NextAsync(Lds);
            _time.Advance(TimeSpan.FromSeconds(seconds));
            stream.End(Grpc.Core.StatusCode.Unavailable, "gone");
            await Eventually.Async(() => Waits().Length == i, $"wait {i} begins");
            _time.Advance(Waits()[^1]);
        }

        Assert.InRange(Waits()[2].TotalSeconds, expected * 0.79, expected * 1.21);

        // The others are of names that wait 15 s for their answer.
        TimeSpan[] Waits() => [.. _time.Timers.Where(timer => timer < TimeSpan.FromSeconds(10))];
    }

    [Fact]
    [Trait("gRFC", "A57")]
    public async Task Outage_WithEverythingCached_KeepsAllAndNewNamesFailWithReason()
    {
        var stream = await ServeAsync("cart:80", "r", "c", 1001);
        _server.Unreachable = new InvalidOperationException("the wire is cut");
        stream.End(Grpc.Core.StatusCode.Unavailable, "gone");
        await AdvanceUntilAsync(() => _server.Connects > 1, "a second try");
        _source.Watch("new");
        await AdvanceUntilAsync(() => Snapshot.Listeners.ContainsKey("new"), "the new name has a result");
        Assert.IsType<ListenerResult.Unavailable>(Snapshot.Listeners["new"]);
        Assert.IsType<ListenerResult.Found>(Snapshot.Listeners["cart:80"]);
        Assert.Equal(1001, Ports("c").Single());
    }

    [Fact]
    [Trait("gRFC", "A57")]
    public async Task Silence_FifteenSecondsAfterTheRequestWasSent_MeansDoesNotExist()
    {
        _source.Watch("cart:80");
        _time.Advance(TimeSpan.FromMinutes(1)); // not connected: nothing counts
        await OpenAsync();
        await WaitingAsync("cart:80");
        _time.Advance(TimeSpan.FromSeconds(14.9));
        Assert.Empty(Snapshot.Listeners);
        Assert.Contains(await _source.Client.DumpAsync(), r => r is { Name: "cart:80", Waiting: true });
        _time.Advance(TimeSpan.FromSeconds(0.1));
        await Eventually.Async(() => Snapshot.Listeners.GetValueOrDefault("cart:80") is ListenerResult.DoesNotExist, "does not exist");
    }

    [Fact]
    public async Task Silence_OnRoutesAndEndpoints_FailsListenerOrCluster()
    {
        _source.Watch("cart:80");
        var stream = await OpenAsync();
        await stream.NextAsync(Lds);
        await SendAsync(stream, Lds, "1", "l1", Listener("cart:80", "r"));
        await stream.NextAsync(Rds);
        await WaitingAsync("r");
        _time.Advance(TimeSpan.FromSeconds(15));
        await Eventually.Async(() => Snapshot.Listeners.GetValueOrDefault("cart:80") is ListenerResult.Unavailable, "no routes");

        await SendAsync(stream, Rds, "1", "r1", Routes("r", "c"));
        await stream.NextAsync(Cds);
        await SendAsync(stream, Cds, "1", "c1", Cluster("c", "e"));
        Assert.Equal(["e"], (await stream.NextAsync(Eds)).ResourceNames);
        await WaitingAsync("e");
        _time.Advance(TimeSpan.FromSeconds(15));
        await Eventually.Async(() => Snapshot.Listeners.GetValueOrDefault("cart:80") is ListenerResult.Found, "the listener is complete");
        Assert.Contains("'e'", Assert.IsType<ClusterResult.Unavailable>(Snapshot.Clusters["c"]).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Absence_OfANameJustAskedFor_MeansDoesNotExistAfterASecond()
    {
        _source.Watch("nobody");
        var stream = await OpenAsync();
        await stream.NextAsync(Lds);
        await WaitingAsync("nobody");
        await SendAsync(stream, Lds, "1", "n1");
        await stream.NextAsync(Lds);
        _time.Advance(TimeSpan.FromSeconds(1));
        await Eventually.Async(() => Snapshot.Listeners.GetValueOrDefault("nobody") is ListenerResult.DoesNotExist, "does not exist");
    }

    [Fact]
    [Trait("gRFC", "A74")]
    public async Task Routes_SwitchToNewCluster_OldStaysUntilNewIsComplete()
    {
        var stream = await ServeAsync("cart:80", "r", "c", 1001);
        await SendAsync(stream, Rds, "2", "r2", Routes("r", "d"));
        Assert.Equal(["c", "d"], (await stream.NextAsync(Cds)).ResourceNames.Order());
        await SendAsync(stream, Eds, "2", "e2", Endpoints("c", 1001, 1002)); // the old one still follows its endpoints
        await Eventually.Async(() => Ports("c").Length == 2, "the old cluster is up to date");
        Assert.False(Snapshot.Clusters.ContainsKey("d"));
        await SendAsync(stream, Cds, "2", "c2", Cluster("c"), Cluster("d"));
        await SendAsync(stream, Eds, "3", "e3", Endpoints("d", 2001));
        await Eventually.Async(() => Snapshot.Clusters.ContainsKey("d"), "the new cluster is in force");
        Assert.Equal(2001, Ports("d").Single());
        Assert.False(Snapshot.Clusters.ContainsKey("c"));
        await Eventually.Async(() => NamesAsync(Cds).Result is ["d"] && NamesAsync(Eds).Result is ["d"], "the old cluster is no longer asked for");
    }

    [Fact]
    public async Task Listener_DeletedAndBackWithTheSameRoutes_Recovers()
    {
        var stream = await ServeAsync("cart:80", "r", "c", 1001);
        await SendAsync(stream, Lds, "2", "l2");
        await Eventually.Async(() => Snapshot.Listeners["cart:80"] is ListenerResult.DoesNotExist, "deleted");
        Assert.Empty(Snapshot.Clusters);
        await NextWithoutNamesAsync(stream, Rds);
        await SendAsync(stream, Lds, "3", "l3", Listener("cart:80", "r"));
        var again = await stream.NextAsync(Rds);
        Assert.Equal(["r"], again.ResourceNames);
        Assert.Equal(("1", "r1"), (again.VersionInfo, again.ResponseNonce));
        await SendAsync(stream, Rds, "1", "r3", Routes("r", "c"));
        await SendAsync(stream, Cds, "1", "c3", Cluster("c"));
        await SendAsync(stream, Eds, "1", "e3", Endpoints("c", 1001));
        await Eventually.Async(() => Snapshot.Listeners["cart:80"] is ListenerResult.Found, "recovered");
        Assert.Equal(1001, Ports("c").Single());
    }

    [Fact]
    public async Task Cluster_DeletedAndBack_FailsMeanwhileAndRecovers()
    {
        var stream = await ServeAsync("cart:80", "r", "c", 1001);
        await SendAsync(stream, Cds, "2", "c2");
        await Eventually.Async(() => Snapshot.Clusters["c"] is ClusterResult.Unavailable, "deleted");
        Assert.IsType<ListenerResult.Found>(Snapshot.Listeners["cart:80"]);
        await NextWithoutNamesAsync(stream, Eds);
        await SendAsync(stream, Cds, "3", "c3", Cluster("c"));
        Assert.Equal(["c"], (await stream.NextAsync(Eds)).ResourceNames);
        await SendAsync(stream, Eds, "1", "e3", Endpoints("c", 1001));
        await Eventually.Async(() => Snapshot.Clusters["c"] is ClusterResult.Found, "recovered");
    }

    [Fact]
    public async Task Absence_OfRoutesAndEndpoints_MeansNothing()
    {
        var stream = await ServeAsync("cart:80", "r", "c", 1001);
        await SendAsync(stream, Rds, "2", "r2");
        await SendAsync(stream, Eds, "2", "e2");
        Assert.Equal("2", (await stream.NextAsync(Rds)).VersionInfo);
        Assert.Equal("2", (await stream.NextAsync(Eds)).VersionInfo);
        Assert.Equal(1001, Ports("c").Single());
    }

    [Fact]
    public async Task Unwatch_LastUser_DropsEverythingAndResubscribeIsServedAnew()
    {
        var stream = await ServeAsync("cart:80", "r", "c", 1001);
        _source.Unwatch("cart:80");
        foreach (var type in new[] { Lds, Rds, Cds, Eds })
        {
            await NextWithoutNamesAsync(stream, type);
        }

        await Eventually.Async(() => Snapshot.Listeners.IsEmpty && Snapshot.Clusters.IsEmpty, "nothing is left");
        await SendAsync(stream, Lds, "1", "late", Listener("cart:80", "r"));
        Assert.Equal("late", (await NextWithoutNamesAsync(stream, Lds)).ResponseNonce); // answered although nothing is wanted
        _source.Watch("cart:80");
        Assert.Equal(["cart:80"], (await stream.NextAsync(Lds)).ResourceNames);
        await SendAsync(stream, Lds, "1", "l2", Listener("cart:80", "r"));
        await stream.NextAsync(Rds);
        await SendAsync(stream, Rds, "1", "r2", Routes("r", "c"));
        await SendAsync(stream, Cds, "1", "c2", Cluster("c"));
        await SendAsync(stream, Eds, "1", "e2", Endpoints("c", 1002));
        await Eventually.Async(() => Snapshot.Listeners.GetValueOrDefault("cart:80") is ListenerResult.Found, "served anew");
        Assert.Equal(1002, Ports("c").Single());
    }

    [Fact]
    public async Task Reconnect_NothingWatchedOfAType_SendsNoEmptyListForIt()
    {
        var stream = await ServeAsync("cart:80", "r", "c", 1001);
        _source.Unwatch("cart:80");
        await Eventually.Async(() => Snapshot.Listeners.IsEmpty, "nothing is left");
        stream.End();
        await AdvanceUntilAsync(() => _server.Connects > 1, "reconnect");
        stream = (SotwStream)await _server.NextStreamAsync();
        Assert.Equal(XdsTypes.LeafPolicy, (await stream.NextAsync()).TypeUrl);
        _source.Watch("x");
        Assert.Equal(["x"], (await stream.NextAsync()).ResourceNames);
    }

    [Fact]
    public async Task Listener_Inbound_IsFoundWithoutRoutes()
    {
        var name = XdsTypes.InboundPrefix + "127.0.0.1:80";
        _source.Watch(name);
        var stream = await OpenAsync();
        await stream.NextAsync(Lds);
        await SendAsync(stream, Lds, "1", "l1", ListenerDecoderTests.Inbound(name));
        await Eventually.Async(() => Snapshot.Listeners.ContainsKey(name), "the inbound listener is there");
        var found = Assert.IsType<ListenerResult.Found>(Snapshot.Listeners[name]);
        Assert.Null(found.Routes);
        Assert.True(found.Listener.FilterChains[0].MeshTls);
    }

    [Fact]
    public async Task Listener_OutboundWithoutHttp_IsCompleteWithItsClusters()
    {
        const string Name = "10.0.0.1:3306";
        _source.Watch(Name);
        var stream = await OpenAsync();
        await stream.NextAsync(Lds);
        var listener = OutboundChainsDecoderTests.Sidecar(Name);
        listener.FilterChains.RemoveAt(0);
        await SendAsync(stream, Lds, "1", "l1", listener);
        Assert.Equal(["db", "plain"], (await stream.NextAsync(Cds)).ResourceNames.Order());
        await SendAsync(stream, Cds, "1", "c1", Cluster("db"), Cluster("plain"));
        await stream.NextAsync(Eds);
        Assert.False(Snapshot.Listeners.ContainsKey(Name));
        await SendAsync(stream, Eds, "1", "e1", Endpoints("db", 3306), Endpoints("plain", 3307));
        await Eventually.Async(() => Snapshot.Listeners.ContainsKey(Name), "the listener is complete");

        Assert.Null(Assert.IsType<ListenerResult.Found>(Snapshot.Listeners[Name]).Routes);
        Assert.Equal(["db", "plain"], Snapshot.Clusters.Keys.Order());
    }

    [Fact]
    public async Task LeafPolicy_Arrives_IsInTheSnapshot()
    {
        var stream = await OpenAsync();
        Assert.Equal(["default"], (await stream.NextAsync(XdsTypes.LeafPolicy)).ResourceNames);
        var at = DateTimeOffset.UnixEpoch.AddDays(20_000);
        await SendAsync(stream, XdsTypes.LeafPolicy, "1", "p1", new Protos.Identity.LeafPolicy { Name = "default", IssuedAfter = Google.Protobuf.WellKnownTypes.Timestamp.FromDateTimeOffset(at) });
        await Eventually.Async(() => Snapshot.LeafPolicy?.IssuedAfter == at, "the policy is there");
    }

    [Fact]
    public async Task Watch_Wildcard_IsNeverAsked()
    {
        _source.Watch("*");
        _source.Watch("a");
        var stream = await OpenAsync();
        Assert.Equal(["a"], (await stream.NextAsync(Lds)).ResourceNames);
        await Eventually.Async(() => Snapshot.Listeners.GetValueOrDefault("*") is ListenerResult.DoesNotExist, "refused");
    }

    private async Task<SotwStream> OpenAsync()
    {
        _source.Start();
        return (SotwStream)await _server.NextStreamAsync();
    }

    private async Task<SotwStream> ServeAsync(string listener, string routes, string cluster, int port)
    {
        _source.Watch(listener);
        return await AnswerAllAsync(await OpenAsync(), listener, routes, cluster, port);
    }

    private async Task<SotwStream> AnswerAllAsync(SotwStream stream, string listener, string routes, string cluster, int port)
    {
        await stream.NextAsync(Lds);
        await SendAsync(stream, Lds, "1", "l1", Listener(listener, routes));
        await stream.NextAsync(Rds);
        Assert.False(Snapshot.Listeners.GetValueOrDefault(listener) is ListenerResult.Found);
        await SendAsync(stream, Rds, "1", "r1", Routes(routes, cluster));
        await stream.NextAsync(Cds);
        await SendAsync(stream, Cds, "1", "c1", Cluster(cluster));
        await stream.NextAsync(Eds);
        Assert.False(Snapshot.Listeners.GetValueOrDefault(listener) is ListenerResult.Found);
        await SendAsync(stream, Eds, "1", "e1", Endpoints(cluster, port));
        await stream.NextAsync(Eds);
        await Eventually.Async(() => Snapshot.Listeners.GetValueOrDefault(listener) is ListenerResult.Found, $"'{listener}' is complete");
        while (stream.TryNext(out _))
        {
            // ACKs of the above
        }

        return stream;
    }

    private static Task SendAsync(SotwStream stream, string type, string version, string nonce, params IMessage[] resources)
    {
        var response = new DiscoveryResponse { TypeUrl = type, VersionInfo = version, Nonce = nonce };
        response.Resources.AddRange(resources.Select(Any));
        return stream.SendAsync(response);
    }

    private static async Task<DiscoveryRequest> NextWithoutNamesAsync(SotwStream stream, string type)
    {
        while (true)
        {
            if (await stream.NextAsync(type) is { ResourceNames.Count: 0 } request)
            {
                return request;
            }
        }
    }

    private async Task WaitingAsync(string name) =>
        await Eventually.Async(() => _source.Client.DumpAsync().Result.Any(r => r.Name == name && r.Waiting), $"the timer of '{name}' runs");

    private async Task<string[]> NamesAsync(string type) => [.. (await _source.Client.DumpAsync()).Where(r => r.TypeUrl == type).Select(r => r.Name)];

    private async Task AdvanceUntilAsync(Func<bool> condition, string what) => await Eventually.Async(
        () =>
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            return condition();
        },
        what);

    private int[] Ports(string cluster) => Snapshot.Clusters.GetValueOrDefault(cluster) is ClusterResult.Found found
        ? [.. found.Endpoints.Localities.SelectMany(l => l.Endpoints).Select(e => e.Port)]
        : [];
}
