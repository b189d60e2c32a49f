using System.Net;
using System.Net.Sockets;
using Grpc.Core;
using Mesh.Config;
using Mesh.Outbound;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Mesh.Client.Tests;

/// <summary>Circuit breaking by connections, and how connections live.</summary>
public sealed class BreakingTests : IAsyncLifetime
{
    private readonly FailureLab _lab = new(TimeProvider.System);
    private readonly TaskCompletionSource _go = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync()
    {
        _go.TrySetResult();
        return _lab.DisposeAsync();
    }

    [Fact]
    public async Task Http1_MoreConnectionsThanAllowed_Is503AtOnceAndNotRetried()
    {
        await _lab.AddAsync(http2: false, WaitForGo);
        _lab.Serve(FailureLab.Route, c => c with { MaxConnections = 2 });
        var first = _lab.Client.GetAsync("http://catalog/", Cancel);
        await Eventually.Async(() => _lab.Requests == 1, "the first has a connection");
        var second = _lab.Client.GetAsync("http://catalog/", Cancel);
        await Eventually.Async(() => _lab.Requests == 2, "the second has a connection");

        using var third = await _lab.Client.GetAsync("http://catalog/", Cancel);

        Assert.Equal((HttpStatusCode.ServiceUnavailable, "Overloaded"), (third.StatusCode, third.Headers.GetValues("mesh-error").Single()));
        Assert.Equal((2, 1L, 0L), (_lab.Requests, _lab.Decided(Decisions.Shed, "max_connections"), _lab.Decided(Decisions.Retry)));
        Assert.Equal(2, _lab.Live.Connections.Open);
        _go.SetResult();
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), ((await first).StatusCode, (await second).StatusCode));
        Assert.Equal(HttpStatusCode.OK, (await _lab.Client.GetAsync("http://catalog/", Cancel)).StatusCode);
        Assert.All(_lab.Live.Balancer.Endpoints, e => Assert.False(e.IsEjected(TimeProvider.System.GetTimestamp())));
    }

    [Fact]
    public async Task Http2_ManyCalls_ShareTheOneConnectionAllowed()
    {
        await _lab.AddAsync(http2: true, WaitForGo);
        _lab.Serve(FailureLab.Route, c => c with { MaxConnections = 1 });
        var calls = Enumerable.Range(0, 20).Select(_ => _lab.Client.GetAsync("http://catalog/", Cancel)).ToArray();
        await Eventually.Async(() => _lab.Requests == 20, "all are under way");

        _go.SetResult();

        Assert.All(await Task.WhenAll(calls), r => Assert.Equal(HttpStatusCode.OK, r.StatusCode));
        Assert.Equal(1, _lab.Live.Connections.Open);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ConnectionComesLate_MoreWaitThanAllowed_Is503AtOnce(bool grpc)
    {
        // Accepts, and says nothing: the TLS handshake does not end.
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        await _lab.AddAsync(http2: true);
        var endpoint = _lab.Backends[0].Endpoint with { Port = ((IPEndPoint)silent.LocalEndpoint).Port };
        _lab.Program.Serve("catalog", [endpoint], FailureLab.Route, c => c with { MaxPendingRequests = 1, ConnectTimeout = TimeSpan.FromMinutes(1) });
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var first = _lab.Client.GetAsync("http://catalog/", cancel.Token);
        await Eventually.Async(() => _lab.Live.Connections.Waiting == 1, "the first waits");

        if (grpc)
        {
            using var channel = _lab.Channel();
            var error = await Assert.ThrowsAsync<RpcException>(async () =>
                await channel.CreateCallInvoker().AsyncUnaryCall(EchoService.UnaryMethod, null, new CallOptions(cancellationToken: Cancel), "hello"));
            Assert.Equal(StatusCode.Unavailable, error.StatusCode);
        }
        else
        {
            using var second = await _lab.Client.GetAsync("http://catalog/", Cancel);
            Assert.Equal((HttpStatusCode.ServiceUnavailable, "Overloaded"), (second.StatusCode, second.Headers.GetValues("mesh-error").Single()));
        }

        Assert.Equal(1, _lab.Decided(Decisions.Shed, "max_pending"));
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        await _lab.IdleAsync();
        Assert.Equal(0, _lab.Live.Connections.Waiting);
    }

    [Fact]
    public async Task GrpcStream_WithLimits_HoldsNoPlaceAfterwards()
    {
        await _lab.AddAsync(http2: true);
        _lab.Serve(FailureLab.Route, c => c with { MaxPendingRequests = 5, MaxConnections = 5 });
        using (var channel = _lab.Channel())
        using (var call = channel.CreateCallInvoker().AsyncDuplexStreamingCall(EchoService.BidiMethod, null, new CallOptions(cancellationToken: Cancel)))
        {
            await call.RequestStream.WriteAsync("one", Cancel);
            Assert.True(await call.ResponseStream.MoveNext(Cancel));
            Assert.Equal(0, _lab.Live.Connections.Waiting);
        }

        await _lab.IdleAsync();
        var live = _lab.Live;
        _lab.Program.Serve("catalog", []);
        await Eventually.Async(() => live.Connections is { Open: 0, Waiting: 0 }, "its connections are closed");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Connections_OlderThanMaxAge_AreNotUsedAnyMore(bool http2)
    {
        var connections = new System.Collections.Concurrent.ConcurrentDictionary<string, bool>();
        await _lab.AddAsync(http2, context =>
        {
            connections[context.Connection.Id] = true;
            return Task.CompletedTask;
        });
        _lab.Serve(FailureLab.Route, c => c with { Connections = c.Connections with { MaxAge = TimeSpan.FromMilliseconds(50) } });

        await Eventually.Async(
            async () =>
            {
                using var response = await _lab.Client.GetAsync("http://catalog/", Cancel);
                return connections.Count >= 3;
            },
            "calls ride new connections");
        await Eventually.Async(
            async () =>
            {
                // Old ones are closed when the next call looks for one.
                using var response = await _lab.Client.GetAsync("http://catalog/", Cancel);
                return _lab.Live.Connections.Open <= 2;
            },
            "old ones are closed");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Warm_BeforeAnyCall_ConnectionsAreReadyAndAreNoCalls(bool http2)
    {
        await _lab.AddAsync(http2);
        _lab.Serve(FailureLab.Route, c => c with { Connections = c.Connections with { Warm = 2 } });
        await Eventually.Async(() => _lab.Live.Connections.Open == 2, "two connections are ready");
        Assert.Equal((0, 0L), (_lab.Requests, _lab.Program.Count(MeshTags.ClientAttemptDuration)));

        Assert.Equal("ok", await _lab.Client.GetStringAsync("http://catalog/", Cancel));

        await Eventually.Async(() => _lab.Live.Connections.Open == 3, "the one that was taken is replaced");
        Assert.Equal((1, 1L), (_lab.Requests, _lab.Program.Count(MeshTags.ClientAttemptDuration)));
        Assert.Equal("ok", await _lab.Client.GetStringAsync("http://catalog/", Cancel));
        Assert.Equal(3, _lab.Live.Connections.Open);
        var live = _lab.Live;
        _lab.Serve(FailureLab.Route);
        await Eventually.Async(() => live.Connections.Open <= 1, "those that were ready are closed");
    }

    [Fact]
    public async Task Warm_ServerLeaves_ItsConnectionIsNotHandedOut()
    {
        var backend = await _lab.AddAsync(http2: true);
        _lab.Serve(FailureLab.Route, c => c with { Connections = c.Connections with { Warm = 1 } });
        await Eventually.Async(() => _lab.Live.Connections.Open == 1, "one connection is ready");

        await backend.KillAsync();

        await Eventually.Async(() => _lab.Live.Connections.Open == 0, "it is closed");
        await Assert.ThrowsAsync<HttpRequestException>(() => _lab.Client.GetAsync("http://catalog/", Cancel));
    }

    [Fact]
    public async Task Http2_ConnectionIsDead_IsFoundByPingAndItsCallFails()
    {
        using var ca = new TestCa("cluster.local");
        await using var backend = await Backend.StartAsync(new Identity.FixedIdentitySource(ca.Identity("shop", "catalog")), WaitForGo);
        await using var hole = new BlackHole(backend.Port);
        var transport = new SocketsTransport(new MeshConnector(TimeProvider.System, null, null, NullLogger.Instance)) { PingDelay = TimeSpan.FromSeconds(1), PingTimeout = TimeSpan.FromSeconds(1) };
        var limits = new Resilience.ConnectionLimits();
        using var invoker = new HttpMessageInvoker(transport.Create(
            backend.Endpoint with { Port = hole.Port }, new Cluster("c", "c", TimeSpan.FromSeconds(5)), ca.Identity("shop", "storefront"), http2: true, new EndpointConnections(limits, TimeProvider.System)));
        using var request = new HttpRequestMessage(HttpMethod.Get, "http://catalog/") { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        var call = invoker.SendAsync(request, Cancel);
        await Eventually.Async(() => backend.Requests == 1, "the request arrived");

        hole.Swallow();

        await Assert.ThrowsAsync<HttpRequestException>(() => call);
        await Eventually.Async(() => limits.Open == 0, "the connection is closed");
        _go.SetResult();
    }

    private Task WaitForGo(HttpContext context) => _go.Task.WaitAsync(context.RequestAborted);

    /// <summary>A wire that carries bytes until it is told to swallow them: nobody is told, as when a host vanishes.</summary>
    private sealed class BlackHole : IAsyncDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly CancellationTokenSource _stop = new();
        private readonly Task _running;
        private volatile bool _swallow;

        public BlackHole(int target)
        {
            _listener.Start();
            _running = RunAsync(target);
        }

        public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

        public void Swallow() => _swallow = true;

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await _running;
            _listener.Dispose();
            _stop.Dispose();
        }

        private async Task RunAsync(int target)
        {
            try
            {
                using var near = await _listener.AcceptTcpClientAsync(_stop.Token);
                using var far = new TcpClient();
                await far.ConnectAsync(IPAddress.Loopback, target, _stop.Token);
                await Task.WhenAll(PumpAsync(near.GetStream(), far.GetStream()), PumpAsync(far.GetStream(), near.GetStream()));
            }
            catch (Exception e) when (e is OperationCanceledException or IOException)
            {
                // The test is over, or one side left.
            }
        }

        private async Task PumpAsync(NetworkStream from, NetworkStream to)
        {
            var buffer = new byte[16 * 1024];
            while (await from.ReadAsync(buffer, _stop.Token) is > 0 and var read)
            {
                if (!_swallow)
                {
                    await to.WriteAsync(buffer.AsMemory(0, read), _stop.Token);
                }
            }
        }
    }
}
