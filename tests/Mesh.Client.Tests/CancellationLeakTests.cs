using Grpc.Core;
using Mesh.Config;
using Mesh.Resilience;
using Mesh.Testing;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace Mesh.Client.Tests;

/// <summary>Callers cancel at random, at any moment of a call: afterwards nothing of any call is left.</summary>
public sealed class CancellationLeakTests(ITestOutputHelper output)
{
    /// <summary>How many calls; the long version is a million.</summary>
    private static readonly int Calls = int.TryParse(Environment.GetEnvironmentVariable("MESH_TEST_CANCELLED_CALLS"), out var calls) ? calls : 3_000;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("http1")]
    [InlineData("http2")]
    [InlineData("grpc")]
    [InlineData("grpc-stream")]
    public async Task Send_CallersCancelAtRandom_LeavesNothing(string protocol)
    {
        var seed = Environment.TickCount;
        output.WriteLine($"seed {seed}");
        var time = new CountingTimeProvider();
        await using var lab = new FailureLab(time);
        for (var i = 0; i < 3; i++)
        {
            (await lab.AddAsync(protocol != "http1", SlowAsync)).Intercept = async context =>
            {
                // gRPC calls wait a little too; the service answers.
                await (context.Request.ContentType == "application/grpc" ? PauseAsync(context) : Task.CompletedTask);
                return false;
            };
        }

        // Everything is armed that keeps something per call.
        lab.Serve(
            FailureLab.Route with
            {
                Timeout = TimeSpan.FromMinutes(5),
                IdleTimeout = TimeSpan.FromMinutes(2),
                ResponseHeadersTimeout = TimeSpan.FromMinutes(2),
                Hedging = new Hedging(0, TimeSpan.FromMilliseconds(2), 2),
                Retry = RetryDecider.Default with { PerTryTimeout = TimeSpan.FromMinutes(1), On = RetryDecider.Default.On | RetryOn.GrpcUnavailable },
            },
            c => c with { MaxPendingRequests = 100_000, MaxConnections = 100_000, MaxRequests = 100_000, RetryBudget = new RetryBudgetSize(100, 100) });
        using var channel = lab.Channel();
        await CallAsync(lab, channel, protocol, Cancel);
        await lab.IdleAsync();
        var timers = time.Active;
        var outcomes = await Task.WhenAll(Enumerable.Range(0, 20).Select(worker => WorkAsync(new Random(seed + worker))));
        output.WriteLine($"{outcomes.Sum()} of {Calls} were cancelled");

        Assert.InRange(outcomes.Sum(), 1, Calls - 1);
        await lab.IdleAsync();
        await Eventually.Async(() => lab.Live.Connections.Waiting == 0, "nobody waits for a connection");
        await Eventually.Async(() => time.Active <= timers, $"no timer is left beyond the {timers} of a quiet program");
        var live = lab.Live;
        lab.Program.Serve("catalog", []);
        await Eventually.Async(() => live.Connections.Open == 0, "all connections are closed");

        async Task<int> WorkAsync(Random random)
        {
            var cancelled = 0;
            for (var i = 0; i < Calls / 20; i++)
            {
                using var source = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
                var call = CallAsync(lab, channel, protocol, source.Token);
                for (var turns = random.Next(200); turns > 0 && !call.IsCompleted; turns--)
                {
                    await Task.Yield();
                }

                var done = call.IsCompleted;
                await source.CancelAsync();
                try
                {
                    await call;
                }
                catch (Exception e) when (!done && (e is OperationCanceledException or RpcException))
                {
                    // Not only Cancelled: gRPC disposes the response that it may be reading, and calls that Internal or Unavailable.
                    cancelled++;
                }
            }

            return cancelled;
        }
    }

    private static async Task CallAsync(FailureLab lab, Grpc.Net.Client.GrpcChannel channel, string protocol, CancellationToken cancel)
    {
        switch (protocol)
        {
            case "grpc":
                await channel.CreateCallInvoker().AsyncUnaryCall(EchoService.UnaryMethod, null, new CallOptions(cancellationToken: cancel), "hello");
                break;
            case "grpc-stream":
                using (var call = channel.CreateCallInvoker().AsyncDuplexStreamingCall(EchoService.BidiMethod, null, new CallOptions(cancellationToken: cancel)))
                {
                    await call.RequestStream.WriteAsync("one", cancel);
                    await call.ResponseStream.MoveNext(cancel);
                    await call.RequestStream.CompleteAsync();
                    await call.ResponseStream.MoveNext(cancel);
                }

                break;
            default:
                using (var request = new HttpRequestMessage(HttpMethod.Put, "http://catalog/") { Content = new StringContent("body") })
                using (var response = await lab.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel))
                {
                    await response.Content.CopyToAsync(Stream.Null, cancel);
                }

                break;
        }
    }

    private static async Task SlowAsync(HttpContext context)
    {
        await PauseAsync(context);
        await context.Response.WriteAsync("begin");
        await context.Response.Body.FlushAsync();
        await PauseAsync(context);
        await context.Response.WriteAsync("end");
    }

    private static async Task PauseAsync(HttpContext context)
    {
        for (var i = 0; i < 50 && !context.RequestAborted.IsCancellationRequested; i++)
        {
            await Task.Yield();
        }
    }

    /// <summary>Real time that knows how many timers were made and not disposed.</summary>
    private sealed class CountingTimeProvider : TimeProvider
    {
        private int _active;

        public int Active => Volatile.Read(ref _active);

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            Interlocked.Increment(ref _active);
            return new Counted(this, base.CreateTimer(callback, state, dueTime, period));
        }

        private sealed class Counted(CountingTimeProvider owner, ITimer timer) : ITimer
        {
            private int _disposed;

            public bool Change(TimeSpan dueTime, TimeSpan period) => timer.Change(dueTime, period);

            public void Dispose()
            {
                timer.Dispose();
                if (Interlocked.Exchange(ref _disposed, 1) == 0)
                {
                    Interlocked.Decrement(ref owner._active);
                }
            }

            public ValueTask DisposeAsync()
            {
                Dispose();
                return ValueTask.CompletedTask;
            }
        }
    }
}
