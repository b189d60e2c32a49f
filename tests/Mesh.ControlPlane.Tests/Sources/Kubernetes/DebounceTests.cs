using Mesh.ControlPlane.Sources.Kubernetes;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.Sources.Kubernetes;

public sealed class DebounceTests
{
    private static readonly TimeSpan Quiet = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Longest = TimeSpan.FromMilliseconds(500);

    private readonly FakeTimeProvider _time = new();
    private int _acts;

    [Fact]
    public async Task Ask_ThenQuiet_ActsOnce()
    {
        await using var debounce = Make();
        for (var i = 0; i < 5; i++)
        {
            debounce.Ask();
        }

        Assert.Equal(0, _acts);
        _time.Advance(Quiet);
        Assert.Equal(1, _acts);
        _time.Advance(Longest);
        Assert.Equal(1, _acts);
    }

    [Theory]
    [InlineData(1, 10)]
    [InlineData(50, 5)]
    [InlineData(1000, 2)]
    public async Task Ask_WithoutPause_ActsAsOftenAsItsCostLetsIt(int costMilliseconds, int acts)
    {
        await using var debounce = Make();
        debounce.Took(TimeSpan.FromMilliseconds(costMilliseconds));
        for (var i = 0; i < 100; i++)
        {
            debounce.Ask();
            _time.Advance(TimeSpan.FromMilliseconds(10));
        }

        Assert.InRange(_acts, acts - 1, acts);
    }

    private Debounce Make() => new(Quiet, Longest, _time, () => _acts++);
}
