using Grpc.Core;
using Mesh.ControlPlane.Tests.Hosting;
using Mesh.ControlPlane.Xds;
using Mesh.Protos.Envoy.Discovery;
using Mesh.Xds.Decoding;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Mesh.ControlPlane.Tests.Xds;

/// <summary>A handler never ends while a read is pending: the server would feed another call's bytes to it.</summary>
public sealed class SessionEndTests
{
    [Fact]
    public async Task Run_WriteFails_EndsItsPendingRead()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        controlPlane.Translator.Set(XdsTypes.Cluster, "a", "1");
        var requests = new OneRequest(new DiscoveryRequest { Node = TestNode.Create(), TypeUrl = XdsTypes.Cluster, ResourceNames = { "a" } });
        var session = new SotwSession(controlPlane.Services.GetRequiredService<AdsParts>(), null, null, "test");
        var running = session.RunAsync(requests, new FailsAtSecond(), TestContext.Current.CancellationToken);
        await requests.Pending.WaitAsync(TestContext.Current.CancellationToken);
        controlPlane.Translator.Set(XdsTypes.Cluster, "a", "2");
        controlPlane.Source.Publish();

        await Assert.ThrowsAsync<IOException>(() => running);
        Assert.False(requests.IsReading);
        Assert.False(controlPlane.Services.GetRequiredService<ClientRegistry>().HasStreams);
    }

    [Fact]
    public async Task Run_Cancelled_EndsItsPendingRead()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var requests = new OneRequest(new DiscoveryRequest { Node = TestNode.Create(), TypeUrl = XdsTypes.Cluster, ResourceNames = { "a" } });
        var running = new SotwSession(controlPlane.Services.GetRequiredService<AdsParts>(), null, null, "test").RunAsync(requests, new FailsAtSecond(), stop.Token);
        await requests.Pending.WaitAsync(TestContext.Current.CancellationToken);
        await stop.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
        Assert.False(requests.IsReading);
    }

    /// <summary>Gives one request, then leaves the reader waiting. A cancelled read takes its time to end.</summary>
    private sealed class OneRequest(DiscoveryRequest request) : IAsyncStreamReader<DiscoveryRequest>
    {
        private readonly TaskCompletionSource _pending = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private bool _given;

        public bool IsReading { get; private set; }

        public Task Pending => _pending.Task;

        public DiscoveryRequest Current => request;

        public async Task<bool> MoveNext(CancellationToken cancellationToken)
        {
            if (!_given)
            {
                _given = true;
                return true;
            }

            IsReading = true;
            _pending.TrySetResult();
            var cancelled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            await using var registration = cancellationToken.Register(cancelled.SetResult);
            await cancelled.Task;
            for (var i = 0; i < 100; i++)
            {
                await Task.Yield();
            }

            IsReading = false;
            throw new OperationCanceledException(cancellationToken);
        }
    }

    private sealed class FailsAtSecond : IServerStreamWriter<DiscoveryResponse>
    {
        private int _written;

        public WriteOptions? WriteOptions { get; set; }

        public Task WriteAsync(DiscoveryResponse message) =>
            ++_written == 1 ? Task.CompletedTask : Task.FromException(new IOException("The connection is gone."));

        public Task WriteAsync(DiscoveryResponse message, CancellationToken cancellationToken) => WriteAsync(message);
    }
}
