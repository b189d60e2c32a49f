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

/// <summary>What delta says differently from state of the world.</summary>
public sealed class DeltaConfigSourceTests : IAsyncLifetime
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
        var node = new XdsNode("web~1~shop", "shop", "web", "web", ["127.0.0.1"]);
        _source = new XdsConfigSource(_server, node, AdsVariant.Delta, _time, new Random(1), new LoggerFactory([new FakeLoggerProvider(_logs)]));
    }

    public async ValueTask DisposeAsync()
    {
        await _source.DisposeAsync();
        await _server.DisposeAsync();
        Assert.DoesNotContain(_logs.GetSnapshot(), r => r.Level >= LogLevel.Error);
    }

    [Fact]
    public async Task Subscribe_NewNames_AreNamedOnceWithoutNonce()
    {
        _source.Watch("a");
        var stream = await OpenAsync();
        var first = await stream.NextAsync(Lds);
        Assert.Equal(["a"], first.ResourceNamesSubscribe);
        Assert.Empty(first.InitialResourceVersions);
        await SendAsync(stream, Lds, "n1", ("a", "1", Listener("a", "r")));
        var ack = await stream.NextAsync(Lds);
        Assert.Equal("n1", ack.ResponseNonce);
        Assert.Null(ack.ErrorDetail);
        Assert.Empty(ack.ResourceNamesSubscribe);
        _source.Watch("b");
        var second = await stream.NextAsync(Lds);
        Assert.Equal(["b"], second.ResourceNamesSubscribe);
        Assert.Empty(second.ResponseNonce);
        Assert.Null(second.Node);
        _source.Unwatch("a");
        var third = await stream.NextAsync(Lds);
        Assert.Equal(["a"], third.ResourceNamesUnsubscribe);
        Assert.Empty(third.ResourceNamesSubscribe);
    }

    [Fact]
    public async Task Nack_OneOfTwoIsBad_GoodOneIsUsed()
    {
        _source.Watch("a");
        _source.Watch("b");
        var stream = await OpenAsync();
        await stream.NextAsync(Lds);
        await SendAsync(stream, Lds, "n1", ("a", "1", Listener("a", "")), ("b", "1", Listener("b", "r")));
        var nack = await stream.NextAsync(Lds);
        Assert.Equal(("n1", 3), (nack.ResponseNonce, nack.ErrorDetail.Code));
        Assert.Contains("'a'", nack.ErrorDetail.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("'b'", nack.ErrorDetail.Message, StringComparison.Ordinal);
        Assert.Equal(["r"], (await stream.NextAsync(Rds)).ResourceNamesSubscribe);
    }

    [Fact]
    public async Task Nack_WrongTypeInside_IsNamed()
    {
        _source.Watch("a");
        var stream = await OpenAsync();
        await stream.NextAsync(Lds);
        await SendAsync(stream, Lds, "n1", ("a", "1", Cluster("a")));
        Assert.Contains("'type.googleapis.com/envoy.config.cluster.v3.Cluster'", (await stream.NextAsync(Lds)).ErrorDetail.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Removed_NeverExisted_IsAnsweredAtOnce()
    {
        _source.Watch("nobody");
        var stream = await OpenAsync();
        await stream.NextAsync(Lds);
        await stream.SendAsync(new DeltaDiscoveryResponse { TypeUrl = Lds, Nonce = "n1", RemovedResources = { "nobody", "stranger" } });
        Assert.Equal("n1", (await stream.NextAsync(Lds)).ResponseNonce);
        await Eventually.Async(() => Snapshot.Listeners.GetValueOrDefault("nobody") is ListenerResult.DoesNotExist, "does not exist");
    }

    [Fact]
    public async Task Removed_ListenerAndBack_RecoversWithTheSameRoutes()
    {
        var stream = await ServeAsync();
        await stream.SendAsync(new DeltaDiscoveryResponse { TypeUrl = Lds, Nonce = "l2", RemovedResources = { "cart:80" } });
        await Eventually.Async(() => Snapshot.Listeners["cart:80"] is ListenerResult.DoesNotExist, "deleted");
        Assert.Equal(["r"], (await NextUnsubscribeAsync(stream, Rds)).ResourceNamesUnsubscribe);
        await SendAsync(stream, Lds, "l3", ("cart:80", "1", Listener("cart:80", "r")));
        Assert.Equal(["r"], (await stream.NextAsync(Rds)).ResourceNamesSubscribe);
        await SendAsync(stream, Rds, "r3", ("r", "1", Routes("r", "c")));
        await SendAsync(stream, Cds, "c3", ("c", "1", Cluster("c")));
        await SendAsync(stream, Eds, "e3", ("c", "1", Endpoints("c", 1001)));
        await Eventually.Async(() => Snapshot.Listeners["cart:80"] is ListenerResult.Found, "recovered");
        Assert.IsType<ClusterResult.Found>(Snapshot.Clusters["c"]);
    }

    [Fact]
    public async Task Unwatch_LastUser_LeavesTheSnapshotAndIsServedAnew()
    {
        var stream = await ServeAsync();
        _source.Unwatch("cart:80");
        foreach (var (type, name) in new[] { (Lds, "cart:80"), (Rds, "r"), (Cds, "c"), (Eds, "c") })
        {
            Assert.Equal([name], (await NextUnsubscribeAsync(stream, type)).ResourceNamesUnsubscribe);
        }

        await Eventually.Async(() => Snapshot.Listeners.IsEmpty && Snapshot.Clusters.IsEmpty, "nothing is left");
        _source.Watch("cart:80");
        Assert.Equal(["cart:80"], (await stream.NextAsync(Lds)).ResourceNamesSubscribe);
        await SendAsync(stream, Lds, "l2", ("cart:80", "1", Listener("cart:80", "r")));
        Assert.Equal("l2", (await stream.NextAsync(Lds)).ResponseNonce);
        Assert.Equal(["r"], (await stream.NextAsync(Rds)).ResourceNamesSubscribe);
        await SendAsync(stream, Rds, "r2", ("r", "1", Routes("r", "c")));
        await SendAsync(stream, Cds, "c2", ("c", "1", Cluster("c")));
        await SendAsync(stream, Eds, "e2", ("c", "1", Endpoints("c", 1002)));
        await Eventually.Async(() => Snapshot.Listeners.GetValueOrDefault("cart:80") is ListenerResult.Found && Snapshot.Clusters["c"] is ClusterResult.Found, "served anew");
    }

    [Fact]
    public async Task Unwatch_NameThatDoesNotExist_LeavesTheSnapshotAndIsAskedAnew()
    {
        _source.Watch("example.com");
        var stream = await OpenAsync();
        for (var i = 0; i < 2; i++)
        {
            Assert.Equal(["example.com"], (await stream.NextAsync(Lds)).ResourceNamesSubscribe);
            await stream.SendAsync(new DeltaDiscoveryResponse { TypeUrl = Lds, Nonce = $"n{i}", RemovedResources = { "example.com" } });
            Assert.Equal($"n{i}", (await stream.NextAsync(Lds)).ResponseNonce);
            await Eventually.Async(() => Snapshot.Listeners.GetValueOrDefault("example.com") is ListenerResult.DoesNotExist, "does not exist");
            _source.Unwatch("example.com");
            Assert.Equal(["example.com"], (await NextUnsubscribeAsync(stream, Lds)).ResourceNamesUnsubscribe);
            await Eventually.Async(() => Snapshot.Listeners.IsEmpty, "forgotten");
            _source.Watch("example.com");
        }
    }

    [Fact]
    public async Task Absence_OfOtherListeners_MeansNothing()
    {
        var stream = await ServeAsync();
        await stream.SendAsync(new DeltaDiscoveryResponse { TypeUrl = Lds, Nonce = "l2" });
        await stream.NextAsync(Lds);
        Assert.IsType<ListenerResult.Found>(Snapshot.Listeners["cart:80"]);
    }

    [Fact]
    public async Task Reconnect_SaysWhatItHolds_AndDeletionMeanwhileIsNoticed()
    {
        var stream = await ServeAsync();
        _source.Watch("pending");
        await stream.NextAsync(Lds);
        stream.End(Grpc.Core.StatusCode.Unavailable, "restart");
        await Eventually.Async(
            () =>
            {
                _time.Advance(TimeSpan.FromSeconds(1));
                return _server.Connects > 1;
            },
            "reconnect");
        stream = (DeltaStream)await _server.NextStreamAsync();
        var request = await stream.NextAsync(Lds);
        Assert.Equal(["cart:80", "pending"], request.ResourceNamesSubscribe.Order());
        Assert.Equal("1", Assert.Single(request.InitialResourceVersions, p => p.Key == "cart:80").Value);
        Assert.Single(request.InitialResourceVersions);
        Assert.Empty(request.ResponseNonce);
        await stream.SendAsync(new DeltaDiscoveryResponse { TypeUrl = Lds, Nonce = "x", RemovedResources = { "cart:80" } });
        await Eventually.Async(() => Snapshot.Listeners["cart:80"] is ListenerResult.DoesNotExist, "deleted meanwhile");
    }

    [Fact]
    [Trait("gRFC", "A88")]
    public async Task ResourceError_KeepsWhatIsHeldAndFailsWhatIsNot()
    {
        var stream = await ServeAsync();
        _source.Watch("secret");
        await stream.NextAsync(Lds);
        var response = new DeltaDiscoveryResponse { TypeUrl = Lds, Nonce = "n9" };
        foreach (var name in new[] { "cart:80", "secret" })
        {
            response.ResourceErrors.Add(new ResourceError { ResourceName = new ResourceName { Name = name }, ErrorDetail = new Protos.Rpc.Status { Code = 7, Message = "not for you" } });
        }

        await stream.SendAsync(response);
        await Eventually.Async(() => Snapshot.Listeners.GetValueOrDefault("secret") is ListenerResult.Unavailable, "refused");
        Assert.Contains("not for you", ((ListenerResult.Unavailable)Snapshot.Listeners["secret"]).Reason, StringComparison.Ordinal);
        Assert.IsType<ListenerResult.Found>(Snapshot.Listeners["cart:80"]);
    }

    [Fact]
    public async Task Dump_AfterNack_ShowsBytesVersionsAndError()
    {
        var stream = await ServeAsync();
        await SendAsync(stream, Lds, "l2", ("cart:80", "2", Listener("cart:80", "")));
        await stream.NextAsync(Lds);
        var line = (await _source.Client.DumpAsync()).Single(r => r.Name == "cart:80");
        Assert.Equal((XdsResourceStatus.Nacked, "1", "2"), (line.Status, line.Version, line.ErrorVersion));
        Assert.Equal(Listener("cart:80", "r").ToByteString(), line.Bytes);
        Assert.Contains("route_config_name", line.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Dispose_WithOpenStream_Ends()
    {
        await ServeAsync();
        await _source.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
    }

    private async Task<DeltaStream> OpenAsync()
    {
        _source.Start();
        return (DeltaStream)await _server.NextStreamAsync();
    }

    private async Task<DeltaStream> ServeAsync()
    {
        _source.Watch("cart:80");
        var stream = await OpenAsync();
        await stream.NextAsync(Lds);
        await SendAsync(stream, Lds, "l1", ("cart:80", "1", Listener("cart:80", "r")));
        await stream.NextAsync(Rds);
        await SendAsync(stream, Rds, "r1", ("r", "1", Routes("r", "c")));
        await stream.NextAsync(Cds);
        await SendAsync(stream, Cds, "c1", ("c", "1", Cluster("c")));
        await stream.NextAsync(Eds);
        await SendAsync(stream, Eds, "e1", ("c", "1", Endpoints("c", 1001)));
        await stream.NextAsync(Eds);
        await Eventually.Async(() => Snapshot.Listeners.GetValueOrDefault("cart:80") is ListenerResult.Found, "complete");
        while (stream.TryNext(out _))
        {
            // ACKs of the above
        }

        return stream;
    }

    private static Task SendAsync(DeltaStream stream, string type, string nonce, params (string Name, string Version, IMessage Message)[] resources)
    {
        var response = new DeltaDiscoveryResponse { TypeUrl = type, Nonce = nonce };
        response.Resources.AddRange(resources.Select(r => new Resource { Name = r.Name, Version = r.Version, Resource_ = Any(r.Message) }));
        return stream.SendAsync(response);
    }

    private static async Task<DeltaDiscoveryRequest> NextUnsubscribeAsync(DeltaStream stream, string type)
    {
        while (true)
        {
            if (await stream.NextAsync(type) is { ResourceNamesUnsubscribe.Count: > 0 } request)
            {
                return request;
            }
        }
    }
}
