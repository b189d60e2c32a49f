using System.Collections.Immutable;
using System.Net;
using Mesh.Config;
using Mesh.Inbound;
using Mesh.Resilience;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Xunit;

namespace Mesh.Core.Tests.Inbound;

public sealed class InboundTableTests
{
    private const string Name = "meshlib/inbound?address=127.0.0.1:80";
    private static readonly IPEndPoint Bound = new(IPAddress.Loopback, 80);
    private static readonly FilterChain Mtls = new("mesh-tls", TransportProtocol.Tls, true, true);
    private static readonly FilterChain Plain = new("plaintext", TransportProtocol.Any, false, false);
    private readonly RecordingSource _source = new();
    private readonly FakeLogger<InboundTable> _logger = new();

    [Fact]
    public async Task Open_ListenerArrives_CompilesItsChains()
    {
        using var table = Table();
        var address = table.Open(Bound);
        Assert.Null(address.Policy);
        var waiting = address.GetAsync(TestContext.Current.CancellationToken);

        Publish(new ListenerResult.Found(new Listener(Name) { FilterChains = [Mtls, Plain] }, null));

        Assert.Equal(InboundPolicy.Permissive, await waiting);
        Publish(new ListenerResult.Found(new Listener(Name) { FilterChains = [Mtls] }, null));
        Assert.Equal(new InboundPolicy(MeshTls: true, Plaintext: false), address.Policy);
        Publish(new ListenerResult.Found(new Listener(Name) { FilterChains = [Plain] }, null));
        Assert.Equal(new InboundPolicy(MeshTls: false, Plaintext: true), address.Policy);
    }

    [Fact]
    public void Listener_Unavailable_KeepsTheLastGood()
    {
        using var table = Table();
        var address = table.Open(Bound);
        Publish(new ListenerResult.Unavailable("no connection"));
        Assert.Null(address.Policy);
        Publish(new ListenerResult.Found(new Listener(Name) { FilterChains = [Mtls] }, null));

        Publish(new ListenerResult.Unavailable("no connection"));
        _source.Snapshots.Publish(MeshSnapshot.Empty);

        Assert.Equal(new InboundPolicy(true, false), address.Policy);
    }

    [Fact]
    public void Listener_DoesNotExist_IsPermissiveAndSaidOnce()
    {
        using var table = Table();
        var address = table.Open(Bound);

        Publish(new ListenerResult.DoesNotExist("unknown"));
        Publish(new ListenerResult.DoesNotExist("unknown"));

        Assert.Equal(InboundPolicy.Permissive, address.Policy);
        var said = Assert.Single(_logger.Collector.GetSnapshot());
        Assert.Equal(LogLevel.Warning, said.Level);
        Assert.Contains("127.0.0.1:80", said.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Close_LastUse_Unwatches()
    {
        using var table = Table();
        var first = table.Open(Bound);
        Assert.Same(first, table.Open(Bound));

        table.Close(first);
        Assert.Equal([Name], _source.Watched);
        table.Close(first);
        Assert.Empty(_source.Watched);
        table.Close(first);
    }

    [Fact]
    public void Open_Wildcard_AsksByTheNameAsBound()
    {
        using var table = Table();
        table.Open(new IPEndPoint(IPAddress.Any, 81));
        table.Open(new IPEndPoint(IPAddress.IPv6Any, 82));

        Assert.Equal(["meshlib/inbound?address=0.0.0.0:81", "meshlib/inbound?address=[::]:82"], _source.Watched);
    }

    private InboundTable Table() => new(_source, "meshlib/inbound?address=", ServerLimits.None, TimeProvider.System, _logger);

    private void Publish(ListenerResult result) =>
        _source.Snapshots.Publish(MeshSnapshot.Empty with { Listeners = ImmutableDictionary<string, ListenerResult>.Empty.Add(Name, result) });

    private sealed class RecordingSource : IConfigSource
    {
        public List<string> Watched { get; } = [];

        public SnapshotStore Snapshots { get; } = new();

        public void Watch(string listenerName) => Watched.Add(listenerName);

        public void Unwatch(string listenerName) => Watched.Remove(listenerName);
    }
}
