using CsCheck;
using Mesh.Traffic;
using Xunit;

namespace Mesh.Core.Tests.Traffic;

public sealed class RegexCostTests
{
    [Theory]
    [InlineData("", 0)]
    [InlineData("abc", 3)]
    [InlineData("a{3}", 3)]
    [InlineData("a{2,5}b", 6)]
    [InlineData("a{7,}", 7)]
    [InlineData("(ab|c){10}", 40)]
    [InlineData("((a{10}){10}){10}", 1_000)]
    [InlineData("[^]{9}]{3}", 3)]
    [InlineData(@"\{9\}", 3)]
    [InlineData("a{x}", 4)]
    public void Of_CountsWhatIsWrittenOut(string expression, int cost) => Assert.Equal(cost, RegexCost.Of(expression));

    [Theory]
    [InlineData("(((a{100}){100}){100}){100}")]
    [InlineData("a{10001}")]
    [InlineData("a{99999999999999999999}")]
    [InlineData("((a{1000}){1000})*b")]
    public void Compile_TooLarge_IsRefused(string expression) => Assert.Throws<ArgumentException>(() => StringMatcher.Compile(expression));

    // Each of these keeps a backtracking engine busy for longer than the universe.
    [Theory]
    [InlineData("(a+)+b")]
    [InlineData("(a|aa)+b")]
    [InlineData("(.*a){30}b")]
    [InlineData("([a-z]+)*[0-9]{1000}")]
    public void Matches_Catastrophic_IsLinear(string expression)
    {
        var matcher = new StringMatcher(StringMatchKind.Regex, expression);
        var clock = System.Diagnostics.Stopwatch.StartNew();

        Assert.False(matcher.Matches(new string('a', 8_192)));

        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(20), $"took {clock.Elapsed}");
    }

    [Fact]
    public void Of_AnyText_EndsAndIsBounded() => Gen.Int[0, 11].Select(i => @"a(){}[]\,19|^"[i]).Array[0, 40].Sample(
        text => Assert.InRange(RegexCost.Of(new string(text)), 0, RegexCost.Most + 1), iter: 20_000);
}
