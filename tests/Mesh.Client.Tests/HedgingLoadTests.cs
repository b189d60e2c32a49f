using Mesh.Config;
using Mesh.Telemetry;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace Mesh.Client.Tests;

/// <summary>Many hedged calls at once, in real time: whichever attempt wins, the caller gets one whole answer.</summary>
public sealed class HedgingLoadTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("http1")]
    [InlineData("http2")]
    [InlineData("grpc")]
    public async Task Send_AttemptsRaceOverAndOver_EveryCallSucceeds(string protocol)
    {
        await using var lab = new FailureLab(TimeProvider.System);
        for (var i = 0; i < 3; i++)
        {
            var backend = await lab.AddAsync(protocol != "http1", async context =>
            {
                await PauseAsync();
                await context.Response.WriteAsync("answer");
            });
            backend.Intercept = async context =>
            {
                await (context.Request.ContentType == "application/grpc" ? PauseAsync() : Task.CompletedTask);
                return false;
            };
        }

        lab.Serve(FailureLab.Route with { Hedging = new Hedging(0, TimeSpan.FromMilliseconds(1), 3) }, c => c with { RetryBudget = new RetryBudgetSize(100, 1_000) });
        using var channel = lab.Channel();

        await Task.WhenAll(Enumerable.Range(0, 10).Select(async _ =>
        {
            for (var i = 0; i < 100; i++)
            {
                var text = protocol == "grpc"
                    ? await channel.CreateCallInvoker().AsyncUnaryCall(EchoService.UnaryMethod, null, new Grpc.Core.CallOptions(cancellationToken: Cancel), "answer")
                    : await lab.Client.GetStringAsync("http://catalog/", Cancel);
                Assert.Equal("answer", text);
            }
        }));

        Assert.NotEqual(0, lab.Decided(Decisions.Hedge));
        await lab.IdleAsync();
        Assert.Equal(1_000, lab.Program.Count(MeshTags.ClientCallDuration, (MeshTags.Outcome, MeshTags.Success)));
        Assert.Equal(0, lab.Program.Count(MeshTags.ClientCallDuration, (MeshTags.Outcome, MeshTags.Failure)));
    }

    private static async Task PauseAsync()
    {
        for (var i = 0; i < 200; i++)
        {
            await Task.Yield();
        }
    }
}
