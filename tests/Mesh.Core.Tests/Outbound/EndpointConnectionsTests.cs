using Mesh.Resilience;
using Xunit;

namespace Mesh.Outbound;

public sealed class EndpointConnectionsTests : IDisposable
{
    private readonly ConnectionLimits _limits = new();
    private readonly EndpointConnections _one;
    private readonly EndpointConnections _other;

    public EndpointConnectionsTests() => (_one, _other) = (new EndpointConnections(_limits, TimeProvider.System), new EndpointConnections(_limits, TimeProvider.System));

    public void Dispose()
    {
        _one.Dispose();
        _other.Dispose();
    }

    [Fact]
    public void Open_AsManyAsTheClusterMayHave_RefusesUntilOneCloses()
    {
        _limits.MaxOpen = 2;
        var first = _one.Open();
        using var second = _one.Open();
        Assert.Throws<ConnectionLimitException>(_one.Open);

        first.Dispose();
        first.Dispose();

        using var third = _one.Open();
        Assert.Equal(2, _limits.Open);
    }

    [Fact]
    public void Open_EndpointWithoutAny_GetsOneWhateverTheOthersHold()
    {
        _limits.MaxOpen = 1;
        var first = _one.Open();
        var second = _other.Open();
        Assert.Throws<ConnectionLimitException>(_other.Open);

        first.Dispose();
        second.Dispose();

        Assert.Equal(0, _limits.Open);
    }

    [Fact]
    public void TryEnter_Http1_OneCallPerConnectionTheOthersWait()
    {
        _limits.MaxWaiting = 1;
        using var permit = _one.Open();
        permit.Established(http2: false);
        Assert.True(_one.TryEnter(http2: false));
        Assert.True(_one.TryEnter(http2: false));
        Assert.Equal(1, _limits.Waiting);
        Assert.False(_one.TryEnter(http2: false));
        Assert.False(_other.TryEnter(http2: false));

        _one.Exit(http2: false);

        Assert.Equal(0, _limits.Waiting);
        Assert.True(_other.TryEnter(http2: false));
        Assert.Equal(1, _limits.Waiting);
    }

    [Fact]
    public void TryEnter_Http2_AllWaitForTheFirstConnectionAndThenNobody()
    {
        _limits.MaxWaiting = 10;
        for (var i = 0; i < 10; i++)
        {
            Assert.True(_one.TryEnter(http2: true));
        }

        Assert.False(_one.TryEnter(http2: true));
        using var permit = _one.Open();
        Assert.Equal(10, _limits.Waiting);

        permit.Established(http2: true);

        Assert.Equal(0, _limits.Waiting);
        for (var i = 10; i < EndpointConnections.StreamsPerConnection; i++)
        {
            Assert.True(_one.TryEnter(http2: true));
        }

        Assert.Equal(0, _limits.Waiting);
        Assert.True(_one.TryEnter(http2: true));
        Assert.Equal(1, _limits.Waiting);
    }

    [Fact]
    public void Exit_ConnectionNeverCame_NobodyWaitsAnyMore()
    {
        _limits.MaxWaiting = 5;
        Assert.True(_one.TryEnter(http2: true) && _one.TryEnter(http2: false));
        _one.Open().Dispose();

        _one.Exit(http2: true);
        _one.Exit(http2: false);

        Assert.Equal((0, 0), (_limits.Waiting, _limits.Open));
    }
}
