using Mesh.ControlPlane.Tap;
using Mesh.Tap;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.Tap;

public sealed class DenialStoreTests
{
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 11, 29, 12, 0, 0, TimeSpan.Zero));

    [Fact]
    public void Add_SameKindInAMinute_IsOneItemWithTheLastExample_AndAnotherMinuteIsAnother()
    {
        var store = new DenialStore(_time);
        store.Add("cart", "shop", [Of("web", "/a", 2), Of("web", "/b", 3), Of("job", "/c", 1)]);
        _time.Advance(TimeSpan.FromSeconds(61));
        store.Add("cart", "shop", [Of("web", "/d", 1)]);

        Assert.Equal([("web", "/d", 1), ("job", "/c", 1), ("web", "/b", 5)], store.Between(DateTimeOffset.UnixEpoch, DateTimeOffset.MaxValue).Select(i => (i.Caller, i.Path, i.Count)));
        Assert.Equal("/d", Assert.Single(store.Between(_time.GetUtcNow() - TimeSpan.FromSeconds(60), _time.GetUtcNow())).Path);
    }

    [Fact]
    public void Add_NoisyWorkload_PushesOutItsOwnOldest_NotOthers()
    {
        var store = new DenialStore(_time);
        store.Add("quiet", "shop", [Of("web", "/", 1)]);
        store.Add("noisy", "shop", Enumerable.Range(0, DenialStore.MostOfOne + 10).Select(i => Of($"caller-{i}", "/", 1)));

        var items = store.Between(DateTimeOffset.UnixEpoch, DateTimeOffset.MaxValue);
        Assert.Equal(DenialStore.MostOfOne + 1, items.Count);
        Assert.Contains(items, i => i.Workload == "quiet");
        Assert.DoesNotContain(items, i => i.Caller == "caller-9");
    }

    [Fact]
    public void Since_IsBoundedInTimeAndNumber()
    {
        var store = new DenialStore(_time);
        for (var w = 0; w < 12; w++)
        {
            store.Add($"w{w}", "shop", Enumerable.Range(0, DenialStore.MostOfOne).Select(i => Of($"caller-{i}", "/", 1)));
        }

        Assert.Equal(DenialStore.MostItems, store.Between(DateTimeOffset.UnixEpoch, DateTimeOffset.MaxValue).Count);
        _time.Advance(DenialStore.Kept + TimeSpan.FromSeconds(1));
        Assert.Empty(store.Between(DateTimeOffset.UnixEpoch, DateTimeOffset.MaxValue));
        Assert.Equal(_time.GetUtcNow() - DenialStore.Kept, store.ReachesBackTo);
    }

    private static DenialReport Of(string caller, string path, long count) => new(DateTimeOffset.UnixEpoch, caller, "GET", path, false, "shop/rule", "", count);
}
