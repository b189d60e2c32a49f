using Xunit;

namespace Mesh.Simulation.Tests;

/// <summary>A deadline bounds all work that is done for a call, however deep.</summary>
public sealed class DeadlineChainTests
{
    [Fact]
    public void Chain_OneSecond_NoHopBeginsWithNothingLeft() => Seeds.Run(150, world =>
    {
        var ran = DeadlineChain.Run(world, perSecond: 30, seconds: 10);

        Assert.Equal(0, ran.BegunOverdue);
        // By the true time: a request may be on its way, and a cancellation takes one way (0.1 ms) at each of the four hops.
        Assert.InRange(ran.LatestBegin.TotalMilliseconds, 0, 0.4);
        Assert.True(ran.WorkedInVain < ran.Worked * 0.001, $"{ran.WorkedInVain.TotalMilliseconds:F1} ms of {ran.Worked.TotalSeconds:F1} s of work were in vain.");
        // Both ends were there to see.
        Assert.True(ran.Calls.Succeeded > ran.Calls.Count / 10, $"Only {ran.Calls.Succeeded} of {ran.Calls.Count} calls were in time.");
        Assert.True(ran.Calls.Failed > ran.Calls.Count / 10, $"Only {ran.Calls.Failed} of {ran.Calls.Count} calls were late.");
        Assert.All(ran.Calls.All, call => Assert.True(call.Duration.TotalMilliseconds <= 1001, $"A call took {call.Duration.TotalMilliseconds:F1} ms."));
    });
}
