using CsCheck;
using Xunit;

namespace Mesh.Balancing;

public sealed class LoadSharesTests
{
    // Worked out by hand: (usable ÷ all) × 1.4, the rest flows on.
    [Theory]
    [InlineData(new[] { 10, 10, 10, 10 }, new[] { 1.0, 0.0 })]
    [InlineData(new[] { 8, 10, 10, 10 }, new[] { 1.0, 0.0 })]
    [InlineData(new[] { 5, 7, 1, 1 }, new[] { 1.0, 0.0 })]
    [InlineData(new[] { 5, 10, 10, 10 }, new[] { 0.7, 0.3 })]
    [InlineData(new[] { 0, 10, 10, 10 }, new[] { 0.0, 1.0 })]
    [InlineData(new[] { 1, 4, 1, 4, 4, 4 }, new[] { 0.35, 0.35, 0.3 })]
    [InlineData(new[] { 1, 4, 1, 4 }, new[] { 0.5, 0.5 })]
    [InlineData(new[] { 2, 10, 1, 10 }, new[] { 2 / 3.0, 1 / 3.0 })]
    [InlineData(new[] { 0, 10, 0, 10 }, new[] { 0.0, 0.0 })]
    [InlineData(new[] { 0, 0, 3, 3 }, new[] { 0.0, 1.0 })]
    public void Cascade_Parts_AreThoseOfTheRule(int[] usableAndAll, double[] expected)
    {
        var parts = usableAndAll.Chunk(2).Select(p => new PartHealth(p[0], p[1])).ToArray();
        var loads = new double[parts.Length];
        var enough = LoadShares.Cascade(parts, 140, loads);

        Assert.All(loads, (load, i) => Assert.Equal(expected[i], load, 9));
        Assert.Equal(parts.Sum(p => p.All == 0 ? 0 : Math.Min(1, p.Usable * 1.4 / p.All)) >= 1 - 1e-9, enough);
    }

    [Fact]
    public void Cascade_AnyParts_AddUpAndNeverPassOnWhatAPartCanCarry() =>
        Gen.Select(Gen.Int[0, 30], Gen.Int[1, 30]).Array[1, 5].Sample(given =>
        {
            var parts = given.Select(g => new PartHealth(Math.Min(g.Item1, g.Item2), g.Item2)).ToArray();
            var loads = new double[parts.Length];
            LoadShares.Cascade(parts, 140, loads);
            Assert.Equal(parts.Any(p => p.Usable > 0) ? 1 : 0, loads.Sum(), 9);
            Assert.All(loads, (load, i) => Assert.True(load >= 0 && (load == 0 || parts[i].Usable > 0)));
            for (var i = 1; i < loads.Length; i++)
            {
                // Who is behind gets something only when those before carry all they can.
                Assert.True(loads[i] < 1e-9 || loads[..i].Select((l, at) => l >= Math.Min(1, parts[at].Usable * 1.4 / parts[at].All) - 1e-9).All(full => full));
            }
        });
}
