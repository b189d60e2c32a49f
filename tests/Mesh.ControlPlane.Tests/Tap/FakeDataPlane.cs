using Grpc.Core;
using Grpc.Net.Client;
using Mesh.ControlPlane.Tests.Hosting;
using Mesh.Protos.Tap;
using Xunit;

namespace Mesh.ControlPlane.Tests.Tap;

/// <summary>Attends as a workload would, and says what a test wants it to say.</summary>
internal sealed class FakeDataPlane : IAsyncDisposable
{
    private readonly GrpcChannel _channel;
    private readonly AsyncDuplexStreamingCall<TapReport, TapOrder> _call;

    private FakeDataPlane(GrpcChannel channel)
    {
        _channel = channel;
        _call = new TapService.TapServiceClient(channel).Attend(deadline: DateTime.UtcNow.AddSeconds(60));
    }

    public static async Task<FakeDataPlane> StartAsync(TestControlPlane controlPlane, string account, bool refuses = false, string? workload = null, string ns = "shop")
    {
        using var certificate = await controlPlane.JoinAsync(ns, account);
        var plane = new FakeDataPlane(controlPlane.TlsChannel(certificate));
        await plane.SayAsync(new TapReport { Hello = new Hello { NodeId = $"{account}~1~{ns}", Workload = workload ?? account, RefusesTaps = refuses } });
        return plane;
    }

    public Task SayAsync(TapReport report) => _call.RequestStream.WriteAsync(report, TestContext.Current.CancellationToken);

    public async Task<TapOrder> NextAsync()
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(20));
        Assert.True(await _call.ResponseStream.MoveNext(limit.Token), "the control plane ended the stream");
        return _call.ResponseStream.Current;
    }

    /// <summary>The next order of a kind.</summary>
    public async Task<TapOrder> NextAsync(TapOrder.OrderOneofCase kind)
    {
        while (true)
        {
            var order = await NextAsync();
            if (order.OrderCase == kind)
            {
                return order;
            }
        }
    }

    public ValueTask DisposeAsync()
    {
        _call.Dispose();
        _channel.Dispose();
        return ValueTask.CompletedTask;
    }
}
