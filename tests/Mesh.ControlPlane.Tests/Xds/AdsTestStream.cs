using Grpc.Core;
using Grpc.Net.Client;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Discovery;
using Xunit;

namespace Mesh.ControlPlane.Tests.Xds;

/// <summary>A state-of-the-world client that does exactly what a test tells it.</summary>
internal sealed class SotwTestStream(GrpcChannel channel) : IAsyncDisposable
{
    private readonly AsyncDuplexStreamingCall<DiscoveryRequest, DiscoveryResponse> _call =
        new AggregatedDiscoveryService.AggregatedDiscoveryServiceClient(channel).StreamAggregatedResources(cancellationToken: TestContext.Current.CancellationToken);

    public Task SendAsync(DiscoveryRequest request) => _call.RequestStream.WriteAsync(request, TestContext.Current.CancellationToken);

    public Task SubscribeAsync(string type, params string[] names) => SendAsync(new DiscoveryRequest { Node = TestNode.Create(), TypeUrl = type, ResourceNames = { names } });

    public Task AnswerAsync(DiscoveryResponse response, string[] names, string? refuse = null) => SendAsync(new DiscoveryRequest
    {
        TypeUrl = response.TypeUrl,
        ResponseNonce = response.Nonce,
        VersionInfo = refuse is null ? response.VersionInfo : string.Empty,
        ErrorDetail = refuse is null ? null : new Mesh.Protos.Rpc.Status { Code = 3, Message = refuse },
        ResourceNames = { names },
    });

    public async Task<DiscoveryResponse> ReadAsync()
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(10));
        Assert.True(await _call.ResponseStream.MoveNext(limit.Token));
        return _call.ResponseStream.Current;
    }

    public ValueTask DisposeAsync()
    {
        _call.Dispose();
        return ValueTask.CompletedTask;
    }
}

/// <summary>A delta client that does exactly what a test tells it.</summary>
internal sealed class DeltaTestStream(GrpcChannel channel) : IAsyncDisposable
{
    private readonly AsyncDuplexStreamingCall<DeltaDiscoveryRequest, DeltaDiscoveryResponse> _call =
        new AggregatedDiscoveryService.AggregatedDiscoveryServiceClient(channel).DeltaAggregatedResources(cancellationToken: TestContext.Current.CancellationToken);

    public Task SendAsync(DeltaDiscoveryRequest request) => _call.RequestStream.WriteAsync(request, TestContext.Current.CancellationToken);

    public Task SubscribeAsync(string type, params string[] names) =>
        SendAsync(new DeltaDiscoveryRequest { Node = TestNode.Create(), TypeUrl = type, ResourceNamesSubscribe = { names } });

    public Task AnswerAsync(DeltaDiscoveryResponse response, string? refuse = null) => SendAsync(new DeltaDiscoveryRequest
    {
        TypeUrl = response.TypeUrl,
        ResponseNonce = response.Nonce,
        ErrorDetail = refuse is null ? null : new Mesh.Protos.Rpc.Status { Code = 3, Message = refuse },
    });

    public async Task<DeltaDiscoveryResponse> ReadAsync()
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(10));
        Assert.True(await _call.ResponseStream.MoveNext(limit.Token));
        return _call.ResponseStream.Current;
    }

    public ValueTask DisposeAsync()
    {
        _call.Dispose();
        return ValueTask.CompletedTask;
    }
}

internal static class TestNode
{
    public static Node Create(string id = "cart~1~shop", string instanceIps = "") => new()
    {
        Id = id,
        UserAgentName = "mesh",
        Metadata = new() { Fields = { ["NAMESPACE"] = Google.Protobuf.WellKnownTypes.Value.ForString("claimed"), ["INSTANCE_IPS"] = Google.Protobuf.WellKnownTypes.Value.ForString(instanceIps) } },
    };
}
