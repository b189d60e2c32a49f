using Grpc.Core;
using Grpc.Net.Client;
using Mesh.Identity;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Mesh.Client.Tests;

public sealed class MeshGrpcTests : IAsyncLifetime
{
    private readonly TestCa _ca = new("cluster.local");
    private MeshedProgram _program = null!;
    private Backend _backend = null!;
    private GrpcChannel _channel = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _program = new MeshedProgram(_ca);
        _backend = await Backend.StartAsync(new FixedIdentitySource(_ca.Identity("shop", "cart")));
        _program.Serve("cart", [_backend.Endpoint]);
        _channel = MeshChannel.ForAddress("xds:///cart", _program.Services);
    }

    public async ValueTask DisposeAsync()
    {
        _channel.Dispose();
        await _program.DisposeAsync();
        await _backend.DisposeAsync();
        _ca.Dispose();
    }

    [Fact]
    public async Task Unary_OverMutualTls_Answers()
    {
        Assert.Equal("hello", await Unary("hello"));
        Assert.Equal(1, _program.Count(MeshTags.ClientCallDuration, (MeshTags.Outcome, MeshTags.Success), (MeshTags.Tls, "mesh")));
    }

    [Fact]
    public async Task Unary_ServerFails_CountsAsFailureAndIsNotRetried()
    {
        var error = await Assert.ThrowsAsync<RpcException>(() => Unary("fail"));

        Assert.Equal(StatusCode.Internal, error.StatusCode);
        Assert.Equal(1, _program.Count(MeshTags.ClientAttemptDuration, (MeshTags.Outcome, MeshTags.Failure)));
        Assert.Equal(1, _program.Count(MeshTags.ClientCallDuration, (MeshTags.Outcome, MeshTags.Failure)));
    }

    [Fact]
    public async Task ServerStreaming_OverMutualTls_StreamsAll()
    {
        using var call = _channel.CreateCallInvoker().AsyncServerStreamingCall(EchoService.ServerMethod, null, new CallOptions(cancellationToken: Cancel), "x");
        var received = new List<string>();
        await foreach (var text in call.ResponseStream.ReadAllAsync(Cancel))
        {
            received.Add(text);
        }

        Assert.Equal(["x0", "x1", "x2"], received);
    }

    [Fact]
    public async Task Bidi_OverMutualTls_IsInterleaved()
    {
        using var call = _channel.CreateCallInvoker().AsyncDuplexStreamingCall(EchoService.BidiMethod, null, new CallOptions(cancellationToken: Cancel));
        for (var i = 0; i < 5; i++)
        {
            await call.RequestStream.WriteAsync($"m{i}", Cancel);
            Assert.True(await call.ResponseStream.MoveNext(Cancel));
            Assert.Equal($"m{i}", call.ResponseStream.Current);
        }

        await call.RequestStream.CompleteAsync();
        Assert.False(await call.ResponseStream.MoveNext(Cancel));
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
    }

    [Fact]
    public async Task Unary_PlaintextEndpoint_IsHttp2ByPriorKnowledge()
    {
        await using var plain = await Backend.StartAsync(protocols: HttpProtocols.Http2);
        _program.Serve("cart", [plain.Endpoint]);

        Assert.Equal("hello", await Unary("hello"));
    }

    [Fact]
    public async Task Unary_OneOfTwoIsDead_IsAlwaysAnswered()
    {
        var dead = await Backend.StartAsync(new FixedIdentitySource(_ca.Identity("shop", "cart")));
        await dead.KillAsync();
        _program.Serve("cart", [dead.Endpoint, _backend.Endpoint]);

        for (var i = 0; i < 20; i++)
        {
            Assert.Equal("hello", await Unary("hello"));
        }

        await dead.DisposeAsync();
    }

    [Fact]
    public async Task Unary_NoHealthyEndpoint_IsUnavailable()
    {
        _program.Serve("cart", []);

        var error = await Assert.ThrowsAsync<RpcException>(() => Unary("hello"));

        Assert.Equal(StatusCode.Unavailable, error.StatusCode);
        Assert.Contains("cluster", error.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Unary_UseMeshByHand_Answers()
    {
        using var channel = GrpcChannel.ForAddress("http://cart", new GrpcChannelOptions().UseMesh(_program.Services));

        Assert.Equal("hello", await channel.CreateCallInvoker().AsyncUnaryCall(EchoService.UnaryMethod, null, new CallOptions(cancellationToken: Cancel), "hello"));
    }

    private async Task<string> Unary(string text)
    {
        using var call = _channel.CreateCallInvoker().AsyncUnaryCall(EchoService.UnaryMethod, null, new CallOptions(cancellationToken: Cancel), text);
        return await call;
    }
}
