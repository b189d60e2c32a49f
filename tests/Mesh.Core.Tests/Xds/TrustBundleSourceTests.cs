using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Mesh.Hosting;
using Mesh.Protos.Envoy.Discovery;
using Mesh.Spiffe;
using Mesh.Testing;
using Mesh.Xds.Decoding;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Xunit;

namespace Mesh.Xds;

/// <summary>Trust from wire to snapshot: asked for by the own trust domain's name, never replaced by something broken or by nothing.</summary>
public sealed class TrustBundleSourceTests : IAsyncLifetime
{
    private readonly FakeLogCollector _logs = FakeLogCollector.Create(new FakeLogCollectorOptions());
    private readonly TestCa _ca = new("cluster.local");
    private ScriptedAdsServer _server = null!;
    private XdsConfigSource _source = null!;

    public async ValueTask InitializeAsync()
    {
        _server = await ScriptedAdsServer.StartAsync();
        _source = new XdsConfigSource(
            _server, new XdsNode("web~1~shop", "shop", "web", "web", ["127.0.0.1"]), AdsVariant.Delta, TimeProvider.System, new Random(1),
            new LoggerFactory([new FakeLoggerProvider(_logs)]), TrustDomain.Parse("cluster.local"));
        _source.Start();
    }

    public async ValueTask DisposeAsync()
    {
        await _source.DisposeAsync();
        await _server.DisposeAsync();
        _ca.Dispose();
    }

    [Fact]
    public async Task TrustBundle_Arrives_IsAckedAndInTheSnapshot()
    {
        var stream = (DeltaStream)await _server.NextStreamAsync();
        Assert.Equal(["cluster.local"], (await stream.NextAsync(XdsTypes.TrustBundle)).ResourceNamesSubscribe);

        await SendAsync(stream, "1", Bundle(_ca));

        Assert.Null((await stream.NextAsync(XdsTypes.TrustBundle)).ErrorDetail);
        await Eventually.Async(() => _source.Snapshots.Current.TrustBundle?.HasRoot(_ca.Root.Thumbprint) == true, "the bundle is there");
    }

    [Fact]
    public async Task TrustBundle_BrokenOrRemoved_LastGoodStays()
    {
        var stream = (DeltaStream)await _server.NextStreamAsync();
        await stream.NextAsync(XdsTypes.TrustBundle);
        await SendAsync(stream, "1", Bundle(_ca));
        await stream.NextAsync(XdsTypes.TrustBundle);

        await SendAsync(stream, "2", new Protos.Identity.TrustBundle { Name = "cluster.local" });
        Assert.Contains("roots is empty", (await stream.NextAsync(XdsTypes.TrustBundle)).ErrorDetail.Message, StringComparison.Ordinal);
        await stream.SendAsync(new DeltaDiscoveryResponse { TypeUrl = XdsTypes.TrustBundle, Nonce = "n3", RemovedResources = { "cluster.local" } });
        await stream.NextAsync(XdsTypes.TrustBundle);
        using var next = new TestCa("cluster.local");
        Assert.True(_source.Snapshots.Current.TrustBundle!.HasRoot(_ca.Root.Thumbprint));

        await SendAsync(stream, "4", Bundle(next));
        await Eventually.Async(() => _source.Snapshots.Current.TrustBundle!.HasRoot(next.Root.Thumbprint), "the next good one is taken");
        Assert.False(_source.Snapshots.Current.TrustBundle!.HasRoot(_ca.Root.Thumbprint));
    }

    private static Protos.Identity.TrustBundle Bundle(TestCa ca) => new() { Name = "cluster.local", Roots = { ByteString.CopyFrom(ca.Root.RawData) } };

    private static Task SendAsync(DeltaStream stream, string version, Protos.Identity.TrustBundle bundle) => stream.SendAsync(new DeltaDiscoveryResponse
    {
        TypeUrl = XdsTypes.TrustBundle,
        Nonce = $"n{version}",
        Resources = { new Resource { Name = bundle.Name, Version = version, Resource_ = new Any { TypeUrl = XdsTypes.TrustBundle, Value = bundle.ToByteString() } } },
    });
}
