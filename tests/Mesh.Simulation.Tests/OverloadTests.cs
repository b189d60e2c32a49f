using Xunit;

namespace Mesh.Simulation.Tests;

/// <summary>Twice as many calls as the servers can serve, for half a minute.</summary>
public sealed class OverloadTests
{
    [Fact]
    public void Overload_ServersWithALimit_KeepTheirGoodputAndRecover() => Seeds.Run(12, world =>
    {
        var ran = Overload.Run(world, Overload.Limit);

        Assert.True(ran.Goodput >= 0.9 * ran.Capacity, $"{ran.Goodput:F0} calls a second succeeded of {ran.Capacity:F0} that could.");
        Assert.InRange(ran.MostInServer, 1, Overload.MaxInClient);
        Assert.InRange(ran.MostInClient, 1, Overload.MaxInClient);
        // Those that succeed are served soon: nobody waits in a queue until nobody wants it any more.
        Assert.True(ran.Calls.Between(Overload.From + 1, Overload.To).P99 < 500, $"p99 of the good calls is {ran.Calls.Between(Overload.From + 1, Overload.To).P99:F0} ms.");
        var after = ran.Calls.Between(Overload.To + 10, Overload.End);
        Assert.Equal(0, after.Failed);
        Assert.True(after.P99 <= 1.5 * ran.Calls.Between(0, Overload.From).P99, $"p99 is {after.P99:F0} ms ten seconds after.");
    });
}
