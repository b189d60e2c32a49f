using Mesh.Testing.Simulation.Scenarios;
using Xunit;

namespace Mesh.Simulation.Tests;

/// <summary>A million calls whose callers leave when they like.</summary>
public sealed class GivingUpTests
{
    [Fact]
    public void Cancel_AtAnyMoment_LeavesNothingBehind()
    {
        const int seeds = 250;
        long calls = 0;
        long cancelled = 0;
        Seeds.Run(seeds, world =>
        {
            var ran = GivingUp.Run(world, calls: 4100);

            Assert.True(ran.Left.Count == 0, $"Left behind: {string.Join(", ", ran.Left.Select(l => $"{l.Value} {l.Key}"))}.");
            Interlocked.Add(ref calls, ran.Calls.Count);
            Interlocked.Add(ref cancelled, ran.Calls.Cancelled);
        });

        Assert.True(Seeds.AreChosen || calls >= 1_000_000, $"{calls} calls in all.");
        Assert.True(cancelled > calls / 10, $"{cancelled} of {calls} calls were cancelled.");
    }
}
