using Grpc.Core;
using Mesh.EndToEnd.Tests.Protos;
using Xunit;

namespace Mesh.EndToEnd.Tests;

/// <summary>Makes calls of every kind, and counts how they ended for it.</summary>
/// <param name="who">Its name; also at the called side.</param>
internal sealed class TruthCaller(CallInvoker invoker, string who, TruthCounts server)
{
    private readonly Truth.TruthClient _client = new(invoker);
    private readonly Metadata _headers = new() { { TruthService.Caller, who } };

    public int Calls { get; private set; }

    public int Failed { get; private set; }

    public int Cancelled { get; private set; }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>Some of each kind: good ones, failed ones, some that fail at first, and some that are given up.</summary>
    public async Task RunAsync(int rounds)
    {
        for (var i = 0; i < rounds; i++)
        {
            await UnaryAsync($"ok unary {i}");
            await UnaryAsync($"fail unary {i}");
            await UnaryAsync($"flaky unary {i}");
            await ServerAsync($"ok server {i}");
            await ServerAsync($"fail server {i}");
            await ServerAsync($"flaky server {i}");
            await ClientAsync($"ok client {i}");
            await ClientAsync($"fail client {i}");
            await BidiAsync($"ok bidi {i}");
            await BidiAsync($"fail bidi {i}");
        }

        await GiveUpAsync("unary", async (text, options) => await _client.UnaryAsync(text, options));
        await GiveUpAsync("server", async (text, options) =>
        {
            using var call = _client.Server(text, options);
            while (await call.ResponseStream.MoveNext(CancellationToken.None))
            {
            }
        });
        await GiveUpAsync("client", async (text, options) =>
        {
            using var call = _client.Client(options);
            await call.RequestStream.WriteAsync(text, CancellationToken.None);
            await call.ResponseAsync;
        });
        await GiveUpAsync("bidi", async (text, options) =>
        {
            using var call = _client.Bidi(options);
            await call.RequestStream.WriteAsync(text, CancellationToken.None);
            while (await call.ResponseStream.MoveNext(CancellationToken.None))
            {
            }
        });
    }

    private Task UnaryAsync(string text) => CountAsync(text, async () => Assert.Equal(text, (await _client.UnaryAsync(Of(text), Options(Token))).Text_));

    private Task ServerAsync(string text) => CountAsync(text, async () =>
    {
        using var call = _client.Server(Of(text), Options(Token));
        Assert.Equal(3, await call.ResponseStream.ReadAllAsync(Token).CountAsync(Token));
    });

    private Task ClientAsync(string text) => CountAsync(text, async () =>
    {
        using var call = _client.Client(Options(Token));
        try
        {
            for (var i = 0; i < 3; i++)
            {
                await call.RequestStream.WriteAsync(Of(text), Token);
            }

            await call.RequestStream.CompleteAsync();
        }
        catch (RpcException)
        {
            // It has failed already; how, the response says.
        }

        Assert.Equal($"{text},{text},{text}", (await call).Text_);
    });

    private Task BidiAsync(string text) => CountAsync(text, async () =>
    {
        using var call = _client.Bidi(Options(Token));
        for (var i = 0; i < 3; i++)
        {
            try
            {
                await call.RequestStream.WriteAsync(Of(text), Token);
            }
            catch (RpcException)
            {
                // As above.
            }

            Assert.True(await call.ResponseStream.MoveNext(Token));
        }

        await call.RequestStream.CompleteAsync();
        Assert.False(await call.ResponseStream.MoveNext(Token));
    });

    private async Task CountAsync(string text, Func<Task> call)
    {
        Calls++;
        try
        {
            await call();
        }
        catch (RpcException e) when ((e.StatusCode == StatusCode.Internal && text.StartsWith("fail", StringComparison.Ordinal)) || (e.StatusCode == StatusCode.Unavailable && text.StartsWith("flaky", StringComparison.Ordinal)))
        {
            Failed++;
        }
    }

    private async Task GiveUpAsync(string kind, Func<Text, CallOptions, Task> call)
    {
        Calls++;
        var text = $"hang {who} {kind}";
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var running = call(Of(text), Options(patience.Token));
        var hangs = server.HangsAsync(text);
        if (await Task.WhenAny(running, hangs) == running)
        {
            var end = await Record.ExceptionAsync(() => running);
            Assert.Fail($"'{text}' ended by itself: {end}");
        }

        await hangs;
        await patience.CancelAsync();
        Assert.Equal(StatusCode.Cancelled, (await Assert.ThrowsAsync<RpcException>(() => running)).StatusCode);
        Cancelled++;
    }

    private CallOptions Options(CancellationToken cancellationToken) => new(_headers, cancellationToken: cancellationToken);

    private static Text Of(string text) => new() { Text_ = text };
}
