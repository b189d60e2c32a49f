using Mesh.Config;
using Mesh.Traffic;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Resilience;

/// <summary>Delays longer than a timer takes.</summary>
public sealed class LongFaultTests
{
    [Fact]
    public async Task Inject_DelayBeyondTimers_WaitsADay()
    {
        var time = new FakeTimeProvider();
        var injector = new FaultInjector(new FaultInjection { Delay = TimeSpan.FromDays(3000), DelayPerMillion = 1_000_000 }, time, new Random(1));

        var injecting = injector.InjectAsync(new Head(), null, TestContext.Current.CancellationToken);
        Assert.False(injecting.IsCompleted);
        time.Advance(TimeSpan.FromDays(1));

        Assert.Equal(TimeSpan.FromDays(1), (await injecting).Delay);
    }

    private sealed class Head : RequestHead
    {
        public override string Method => "GET";

        public override string Authority => "catalog";

        public override string Path => "/";

        public override string Query => string.Empty;

        public override string? Header(string name) => null;
    }
}
