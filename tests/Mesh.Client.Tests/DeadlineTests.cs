using System.Net;
using Grpc.Core;
using Grpc.Net.Client;
using Mesh.Config;
using Mesh.Identity;
using Mesh.Telemetry;
using Mesh.Testing;
using Mesh.Traffic;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Client.Tests;

/// <summary>Calls made while a request with a deadline is served; time is ours.</summary>
public sealed class DeadlineTests : IAsyncLifetime
{
    private readonly TestCa _ca = new("cluster.local");
    private readonly FakeTimeProvider _time = new();
    private MeshedProgram _program = null!;
    private Backend _backend = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _program = new MeshedProgram(_ca, services => services.AddSingleton<TimeProvider>(_time));
        _backend = await Backend.StartAsync(new FixedIdentitySource(_ca.Identity("shop", "catalog")));
        _program.Serve("catalog", [_backend.Endpoint]);
    }

    public async ValueTask DisposeAsync()
    {
        await _program.DisposeAsync();
        await _backend.DisposeAsync();
        _ca.Dispose();
    }

    [Fact]
    public async Task Get_NothingLeft_FailsAtOnceWithoutAnAttempt()
    {
        Serve(TimeSpan.FromSeconds(1));
        _time.Advance(TimeSpan.FromSeconds(1));

        using var response = await _program.Client().GetAsync("http://catalog/", Cancel);

        Assert.Equal(HttpStatusCode.GatewayTimeout, response.StatusCode);
        Assert.Equal("DeadlineExceeded", Assert.Single(response.Headers.GetValues("mesh-error")));
        Assert.Equal(0, _backend.Requests);
        Assert.Equal(0, _program.Count(MeshTags.ClientAttemptDuration));
        Assert.Equal(1, _program.Count(MeshTags.ClientCallDuration, (MeshTags.Outcome, MeshTags.Failure)));
    }

    [Fact]
    public async Task Grpc_NothingLeft_IsDeadlineExceeded()
    {
        Serve(TimeSpan.Zero);
        using var channel = MeshChannel.ForAddress("xds:///catalog", _program.Services);

        var error = await Assert.ThrowsAsync<RpcException>(async () =>
            await channel.CreateCallInvoker().AsyncUnaryCall(EchoService.UnaryMethod, null, new CallOptions(cancellationToken: Cancel), "hello"));

        Assert.Equal(StatusCode.DeadlineExceeded, error.StatusCode);
    }

    [Theory]
    [InlineData(null)]
    [InlineData(60)]
    public async Task Get_ServerHangs_EndsAtTheDeadlineWhateverTheRouteAllows(int? routeSeconds)
    {
        _program.Serve("catalog", [_backend.Endpoint], new RouteAction.Forward([new("outbound|80||catalog.shop.svc.cluster.local", 1)])
        {
            Timeout = routeSeconds is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
        });
        _backend.Handler = context => new TaskCompletionSource().Task.WaitAsync(context.RequestAborted);
        Serve(TimeSpan.FromMilliseconds(300));
        var call = _program.Client().GetAsync("http://catalog/", CancellationToken.None);
        await Eventually.Async(() => _backend.Requests == 1, "the server has the request");

        _time.Advance(TimeSpan.FromMilliseconds(299));
        Assert.False(call.IsCompleted);
        _time.Advance(TimeSpan.FromMilliseconds(1));

        using var response = await call;
        Assert.Equal("DeadlineExceeded", Assert.Single(response.Headers.GetValues("mesh-error")));
        Assert.Equal(1, _backend.Requests);
    }

    [Fact]
    public async Task Get_RouteTimeoutIsShorter_ItEndsTheCall()
    {
        _program.Serve("catalog", [_backend.Endpoint], new RouteAction.Forward([new("outbound|80||catalog.shop.svc.cluster.local", 1)]) { Timeout = TimeSpan.FromSeconds(1) });
        _backend.Handler = context => new TaskCompletionSource().Task.WaitAsync(context.RequestAborted);
        Serve(TimeSpan.FromSeconds(60));
        var call = _program.Client().GetAsync("http://catalog/", Cancel);
        await Eventually.Async(() => _backend.Requests == 1, "the server has the request");

        _time.Advance(TimeSpan.FromSeconds(1));

        using var response = await call;
        Assert.Equal("TimedOut", Assert.Single(response.Headers.GetValues("mesh-error")));
    }

    [Fact]
    public async Task Get_FailsWhenTheTimeIsOver_IsNotTriedAgain()
    {
        _backend.Handler = context =>
        {
            context.Response.StatusCode = 503;
            _time.Advance(TimeSpan.FromMilliseconds(300));
            return Task.CompletedTask;
        };
        Serve(TimeSpan.FromMilliseconds(300));

        using var response = await _program.Client().GetAsync("http://catalog/", Cancel);

        Assert.True(response.StatusCode is HttpStatusCode.ServiceUnavailable or HttpStatusCode.GatewayTimeout);
        Assert.Equal(1, _backend.Requests);
    }

    [Fact]
    public async Task Get_BodyStillStreamsAtTheDeadline_IsBrokenOff()
    {
        _backend.Handler = async context =>
        {
            await context.Response.WriteAsync("half", CancellationToken.None);
            await context.Response.Body.FlushAsync(CancellationToken.None);
            await new TaskCompletionSource().Task.WaitAsync(context.RequestAborted);
        };
        Serve(TimeSpan.FromMilliseconds(300));
        using var response = await _program.Client().GetAsync("http://catalog/", HttpCompletionOption.ResponseHeadersRead, Cancel);
        var reading = response.Content.ReadAsStringAsync(Cancel);

        _time.Advance(TimeSpan.FromMilliseconds(300));

        var error = await Assert.ThrowsAnyAsync<Exception>(() => reading);
        Assert.IsType<TimeoutException>(error.GetBaseException());
    }

    [Fact]
    public async Task Get_CallerGivesUpBeforeTheDeadline_IsCancelledAsEver()
    {
        _backend.Handler = context => new TaskCompletionSource().Task.WaitAsync(context.RequestAborted);
        Serve(TimeSpan.FromSeconds(60));
        using var caller = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var call = _program.Client().GetAsync("http://catalog/", caller.Token);
        await Eventually.Async(() => _backend.Requests == 1, "the server has the request");

        await caller.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
    }

    [Fact]
    public async Task Get_NoDeadline_SendsNoHeaderOfIt()
    {
        _backend.Handler = context => context.Response.WriteAsync(string.Join(' ', context.Request.Headers.Keys.Where(k => k.Contains("timeout", StringComparison.OrdinalIgnoreCase))), CancellationToken.None);

        Assert.Empty(await _program.Client().GetStringAsync("http://catalog/", Cancel));
    }

    /// <summary>From here on this test serves a request, as the middleware would say.</summary>
    private void Serve(TimeSpan left) => Deadline.Current = new Deadline(_time, _time.GetTimestamp(), left);
}
