namespace Shop.Tests;

public sealed class OptionsTests
{
    [Fact]
    public void Options_Headless_AreRead()
    {
        Assert.True(ShopOptions.TryParse(["--for", "1.5m", "--summary", "out.json", "--story", "--customers", "4", "--pause", "5ms"], out var options, out _));

        Assert.Equal(TimeSpan.FromSeconds(90), options.For);
        Assert.Equal(Path.GetFullPath("out.json"), options.Summary);
        Assert.Equal((true, 4, TimeSpan.FromMilliseconds(5)), (options.Story, options.Customers, options.Pause));
    }

    [Theory]
    [InlineData("--for")]
    [InlineData("--for", "30")]
    [InlineData("--for", "-3s")]
    [InlineData("--for", "0s")]
    [InlineData("--for", "99999h")]
    [InlineData("--customers", "0")]
    [InlineData("--customers", "many")]
    [InlineData("--summary", "x.json")]
    [InlineData("--fro", "30s")]
    [InlineData("30s")]
    public void Options_Wrong_AreNamedInTheMessage(params string[] args)
    {
        Assert.False(ShopOptions.TryParse(args, out _, out var problem));

        Assert.Contains(args[0], problem, StringComparison.Ordinal);
        Assert.Contains("Usage:", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Options_None_MeanTheScreen()
    {
        Assert.True(ShopOptions.TryParse([], out var options, out _));

        Assert.False(options.IsHeadless);
    }
}
