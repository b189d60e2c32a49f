using Grpc.Core;
using Mesh.Config;
using Mesh.ControlPlane.Tests.Hosting;
using Mesh.ControlPlane.Xds;
using Mesh.Protos.Envoy.Discovery;
using Mesh.Testing;
using Mesh.Xds.Decoding;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Mesh.ControlPlane.Tests.Xds;

public sealed class SotwStreamTests
{
    [Fact]
    public async Task Subscribe_OneExistsOneNot_AnswersAtOnceWithTheOne()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        controlPlane.Translator.Set(XdsTypes.Cluster, "a", "1");
        using var channel = controlPlane.PlaintextChannel();
        await using var stream = new SotwTestStream(channel);
        await stream.SubscribeAsync(XdsTypes.Cluster, "a", "missing");
        var response = await stream.ReadAsync();
        Assert.Equal(["a"], Names(response));
        Assert.NotEmpty(response.Nonce);

        await stream.SubscribeAsync(XdsTypes.Listener, "missing");
        Assert.Empty((await stream.ReadAsync()).Resources);
    }

    [Fact]
    public async Task Change_OfOneCluster_SendsFullSetInNewVersion()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        controlPlane.Translator.Set(XdsTypes.Cluster, "a", "1");
        controlPlane.Translator.Set(XdsTypes.Cluster, "b", "1");
        using var channel = controlPlane.PlaintextChannel();
        await using var stream = new SotwTestStream(channel);
        await stream.SubscribeAsync(XdsTypes.Cluster, "a", "b");
        var first = await stream.ReadAsync();
        await stream.AnswerAsync(first, ["a", "b"]);
        controlPlane.Translator.Set(XdsTypes.Cluster, "b", "2");
        controlPlane.Source.Publish();
        var second = await stream.ReadAsync();
        Assert.Equal(["a", "b"], Names(second));
        Assert.NotEqual(first.VersionInfo, second.VersionInfo);

        controlPlane.Translator.Remove(XdsTypes.Cluster, "a");
        controlPlane.Source.Publish();
        Assert.Equal(["b"], Names(await stream.ReadAsync()));
    }

    [Fact]
    public async Task Change_OfOneAssignment_SendsThatOneOnly()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        controlPlane.Translator.Set(XdsTypes.ClusterLoadAssignment, "a", "1");
        controlPlane.Translator.Set(XdsTypes.ClusterLoadAssignment, "b", "1");
        using var channel = controlPlane.PlaintextChannel();
        await using var stream = new SotwTestStream(channel);
        await stream.SubscribeAsync(XdsTypes.ClusterLoadAssignment, "a", "b");
        await stream.AnswerAsync(await stream.ReadAsync(), ["a", "b"]);
        controlPlane.Translator.Set(XdsTypes.ClusterLoadAssignment, "b", "22");
        controlPlane.Source.Publish();
        Assert.Equal(["b"], Names(await stream.ReadAsync()));
    }

    [Fact]
    public async Task Change_OfAllTypes_PushesClustersEndpointsListenersRoutes()
    {
        string[] order = [XdsTypes.Cluster, XdsTypes.ClusterLoadAssignment, XdsTypes.Listener, XdsTypes.RouteConfiguration];
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var channel = controlPlane.PlaintextChannel();
        await using var stream = new SotwTestStream(channel);
        foreach (var type in order.Reverse())
        {
            controlPlane.Translator.Set(type, "a", "1");
            await stream.SubscribeAsync(type, "a");
            await stream.AnswerAsync(await stream.ReadAsync(), ["a"]);
        }

        foreach (var type in order)
        {
            controlPlane.Translator.Set(type, "a", "22");
        }

        controlPlane.Source.Publish();
        foreach (var type in order)
        {
            Assert.Equal(type, (await stream.ReadAsync()).TypeUrl);
        }
    }

    [Fact]
    public async Task Nack_IsCountedLoggedAndNotResentUntilSomethingChanges()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        controlPlane.Translator.Set(XdsTypes.Cluster, "a", "1");
        using var channel = controlPlane.PlaintextChannel();
        await using var stream = new SotwTestStream(channel);
        await stream.SubscribeAsync(XdsTypes.Cluster, "a");
        var refused = await stream.ReadAsync();
        await stream.AnswerAsync(refused, ["a"], refuse: "lb_policy is unknown");
        var clients = controlPlane.Services.GetRequiredService<ClientRegistry>();
        await Eventually.Async(() => clients.Nacks == 1, "the NACK to be counted");
        var client = Assert.Single(clients.Clients);
        Assert.Equal("nacked", Assert.Single(client.Types).Status);
        Assert.Contains("lb_policy is unknown", client.LastNack, StringComparison.Ordinal);
        Assert.Contains(controlPlane.Logs.GetSnapshot(), l => l.Level == LogLevel.Warning && l.Message.Contains("lb_policy is unknown", StringComparison.Ordinal) && l.Message.Contains("cart~1~shop", StringComparison.Ordinal));

        // Nothing changed: the next thing on the stream is the answer to another question.
        controlPlane.Source.Publish();
        await stream.SubscribeAsync(XdsTypes.Listener, "x");
        Assert.Equal(XdsTypes.Listener, (await stream.ReadAsync()).TypeUrl);
        controlPlane.Translator.Set(XdsTypes.Cluster, "a", "2");
        controlPlane.Source.Publish();
        Assert.Equal(XdsTypes.Cluster, (await stream.ReadAsync()).TypeUrl);
    }

    [Fact]
    public async Task StaleNonce_IsIgnored()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        controlPlane.Translator.Set(XdsTypes.Cluster, "a", "1");
        using var channel = controlPlane.PlaintextChannel();
        await using var stream = new SotwTestStream(channel);
        await stream.SubscribeAsync(XdsTypes.Cluster, "a");
        await stream.ReadAsync();
        await stream.SendAsync(new DiscoveryRequest { TypeUrl = XdsTypes.Cluster, ResponseNonce = "of-another-time", ResourceNames = { "a", "b" } });
        await stream.SubscribeAsync(XdsTypes.Listener, "x");
        Assert.Equal(XdsTypes.Listener, (await stream.ReadAsync()).TypeUrl);
        Assert.Equal(0, controlPlane.Services.GetRequiredService<ClientRegistry>().Acks);
    }

    [Fact]
    public async Task NewStream_WithCurrentVersion_IsAnsweredWithTheSameVersion()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        controlPlane.Translator.Set(XdsTypes.Cluster, "a", "1");
        using var channel = controlPlane.PlaintextChannel();
        string version;
        await using (var stream = new SotwTestStream(channel))
        {
            await stream.SubscribeAsync(XdsTypes.Cluster, "a");
            version = (await stream.ReadAsync()).VersionInfo;
        }

        await using var again = new SotwTestStream(channel);
        await again.SendAsync(new DiscoveryRequest { Node = TestNode.Create(), TypeUrl = XdsTypes.Cluster, VersionInfo = version, ResourceNames = { "a" } });
        var response = await again.ReadAsync();
        Assert.Equal(version, response.VersionInfo);
        Assert.Equal(["a"], Names(response));
    }

    [Fact]
    public async Task Resubscribe_AfterUnsubscribe_Resends()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        controlPlane.Translator.Set(XdsTypes.ClusterLoadAssignment, "a", "1");
        controlPlane.Translator.Set(XdsTypes.ClusterLoadAssignment, "b", "1");
        using var channel = controlPlane.PlaintextChannel();
        await using var stream = new SotwTestStream(channel);
        await stream.SubscribeAsync(XdsTypes.ClusterLoadAssignment, "a", "b");
        var first = await stream.ReadAsync();
        await stream.AnswerAsync(first, ["a"]);
        await stream.AnswerAsync(first, ["a", "b"]);
        Assert.Equal(["b"], Names(await stream.ReadAsync()));
    }

    [Fact]
    public async Task InvalidResource_IsNotSentAndLastGoodStays()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        controlPlane.Translator.Set(XdsTypes.Cluster, "a", "good");
        controlPlane.Decode = (type, bytes) => bytes.ToStringUtf8().Contains("bad", StringComparison.Ordinal)
            ? new DecodeResult(null, null, [new ConfigError("one", "is bad"), new ConfigError("two", "is bad too")])
            : new DecodeResult(FakeTranslator.NameOf(type, bytes), new object(), []);
        using var channel = controlPlane.PlaintextChannel();
        await using var stream = new SotwTestStream(channel);
        await stream.SubscribeAsync(XdsTypes.Cluster, "a");
        var good = await stream.ReadAsync();
        controlPlane.Translator.Set(XdsTypes.Cluster, "a", "bad");
        controlPlane.Source.Publish();
        await Eventually.Async(() => controlPlane.Logs.GetSnapshot().Any(l => l.Level == LogLevel.Error), "the error");
        Assert.Contains(controlPlane.Logs.GetSnapshot(), l => l.Level == LogLevel.Error && l.Message.Contains("two is bad too", StringComparison.Ordinal));

        // A newcomer gets the last good one as well.
        await using var newcomer = new SotwTestStream(channel);
        await newcomer.SubscribeAsync(XdsTypes.Cluster, "a");
        Assert.Equal(good.VersionInfo, (await newcomer.ReadAsync()).VersionInfo);
        controlPlane.Translator.Set(XdsTypes.Cluster, "a", "good again");
        controlPlane.Source.Publish();
        Assert.NotEqual(good.VersionInfo, (await stream.ReadAsync()).VersionInfo);
    }

    [Fact]
    public async Task TooManyNames_EndTheStream()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var channel = controlPlane.PlaintextChannel();
        await using var stream = new SotwTestStream(channel);
        await stream.SubscribeAsync(XdsTypes.Cluster, [.. Enumerable.Range(0, 10_001).Select(i => $"c{i}")]);
        Assert.Equal(StatusCode.ResourceExhausted, (await Assert.ThrowsAsync<RpcException>(stream.ReadAsync)).StatusCode);
    }

    [Fact]
    public async Task NoNode_IsInvalidArgument()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var channel = controlPlane.PlaintextChannel();
        await using var stream = new SotwTestStream(channel);
        await stream.SendAsync(new DiscoveryRequest { TypeUrl = XdsTypes.Cluster });
        Assert.Equal(StatusCode.InvalidArgument, (await Assert.ThrowsAsync<RpcException>(stream.ReadAsync)).StatusCode);
    }

    [Fact]
    public async Task SameQuestion_OfManyNodes_IsTranslatedOnce()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        controlPlane.Translator.Set(XdsTypes.Cluster, "a", "1");
        using var channel = controlPlane.PlaintextChannel();
        await using var first = new SotwTestStream(channel);
        await first.SubscribeAsync(XdsTypes.Cluster, "a");
        await first.ReadAsync();
        var calls = controlPlane.Translator.Calls;
        await using var second = new SotwTestStream(channel);
        await second.SubscribeAsync(XdsTypes.Cluster, "a");
        await second.ReadAsync();
        Assert.Equal(calls, controlPlane.Translator.Calls);
    }

    [Fact]
    public async Task SlowReader_GetsTheLatestState()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        controlPlane.Translator.Set(XdsTypes.Cluster, "a", "0");
        using var channel = controlPlane.PlaintextChannel();
        await using var stream = new SotwTestStream(channel);
        await stream.SubscribeAsync(XdsTypes.Cluster, "a");
        await stream.ReadAsync();

        // Each state is larger than the flow-control window: the server can't write ahead.
        for (var i = 0; i < 50; i++)
        {
            controlPlane.Translator.Set(XdsTypes.Cluster, "a", new string('x', 2_000_000) + i);
            controlPlane.Source.Publish();
        }

        var read = 0;
        string last;
        do
        {
            last = Mesh.Protos.Envoy.Cluster.Cluster.Parser.ParseFrom((await stream.ReadAsync()).Resources.Single().Value).EdsClusterConfig.ServiceName;
            read++;
        }
        while (!last.EndsWith("x49", StringComparison.Ordinal));
        Assert.InRange(read, 1, 25);
    }

    [Fact]
    public async Task Stop_EndsStreamsSoon()
    {
        var controlPlane = await TestControlPlane.StartAsync();
        using var channel = controlPlane.PlaintextChannel();
        await using var stream = new SotwTestStream(channel);
        await stream.SubscribeAsync(XdsTypes.Listener, "x");
        await stream.ReadAsync();
        var next = Assert.ThrowsAsync<RpcException>(stream.ReadAsync);
        await controlPlane.DisposeAsync();

        Assert.Equal(StatusCode.Unavailable, (await next).StatusCode);
    }

    private static string[] Names(DiscoveryResponse response) => [.. response.Resources.Select(r => FakeTranslator.NameOf(response.TypeUrl, r.Value))];
}
