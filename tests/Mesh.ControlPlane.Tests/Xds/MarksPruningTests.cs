using System.Collections.Immutable;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Xds;
using Mesh.Spiffe;
using Mesh.Testing;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.Xds;

public sealed class MarksPruningTests : IDisposable
{
    private static readonly SpiffeId Cart = SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/cart");
    private readonly string _folder = Directory.CreateTempSubdirectory("mesh-cp-").FullName;
    private readonly FakeTimeProvider _time = new();
    private readonly ModelStore _store = new();
    private readonly FakeLogger<MeshMarks> _log = new();

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Mark_WithoutEndpointForADay_IsForgotten_AndNoOther()
    {
        using var data = new DataFolder(_folder);
        await using (var marks = Marks(data))
        {
            _store.Publish(Model("10.0.0.1"));
            await RecordAsync(marks, "10.0.0.1:80", "10.0.0.2:80");

            // The loop works in order: a mark in use shows that the sweeps before it have run.
            _time.Advance(TimeSpan.FromHours(1));
            await RecordAsync(marks, "10.0.0.3:80");
            _time.Advance(TimeSpan.FromHours(23));
            await RecordAsync(marks, "10.0.0.4:80");
            Assert.True(marks.IsMeshed("10.0.0.2:80", Cart));

            _time.Advance(TimeSpan.FromHours(1));
            await Eventually.Async(() => !marks.IsMeshed("10.0.0.2:80", Cart), "the old mark to be forgotten");
            Assert.True(marks.IsMeshed("10.0.0.1:80", Cart));
            Assert.True(marks.IsMeshed("10.0.0.3:80", Cart));
        }

        await using var again = Marks(data);
        Assert.False(again.IsMeshed("10.0.0.2:80", Cart));
        Assert.True(again.IsMeshed("10.0.0.1:80", Cart));
    }

    [Fact]
    public async Task Mark_WhileNoModelIsKnown_IsKept()
    {
        using var data = new DataFolder(_folder);
        await using var marks = Marks(data);
        await RecordAsync(marks, "10.0.0.1:80");
        _time.Advance(TimeSpan.FromDays(3));
        await RecordAsync(marks, "10.0.0.2:80");

        Assert.True(marks.IsMeshed("10.0.0.1:80", Cart));
    }

    [Fact]
    public async Task Bound_IsHit_RoomIsMadeByMarksWithoutEndpointOnly()
    {
        using var data = new DataFolder(_folder);
        await using var marks = Marks(data);
        var addresses = Enumerable.Range(0, MeshMarks.MaxPerIdentity).Select(i => $"10.0.{i / 200}.{1 + (i % 200)}").ToArray();
        _store.Publish(Model(addresses[1..]));
        await RecordAsync(marks, [.. addresses.Select(a => a + ":80")]);

        await RecordAsync(marks, "10.9.9.9:80");
        Assert.False(marks.IsMeshed(addresses[0] + ":80", Cart));

        _store.Publish(Model([.. addresses[1..], "10.9.9.9"]));
        marks.Record("10.9.9.10:80", Cart);
        await Eventually.Async(() => _log.Collector.GetSnapshot().Any(l => l.Message.Contains("10.9.9.10:80", StringComparison.Ordinal)), "the refusal to be told");
        Assert.All(addresses[1..], a => Assert.True(marks.IsMeshed(a + ":80", Cart)));
        Assert.True(marks.IsMeshed("10.9.9.9:80", Cart));
    }

    [Fact]
    public async Task Mark_Kind_IsTheLastThatServed_AndIsKept()
    {
        using var data = new DataFolder(_folder);
        await using (var marks = Marks(data))
        {
            await RecordAsync(marks, "10.0.0.1:80", "10.0.0.2:80");
            Assert.False(marks.IsTransparent("10.0.0.1:80", Cart));

            marks.Record("10.0.0.1:80", Cart, transparent: true);
            marks.Record("10.0.0.2:80", Cart, transparent: true);
            marks.Record("10.0.0.2:80", Cart);
            marks.Record("10.0.0.3:80", Cart, transparent: true);
            await Eventually.Async(() => marks.IsTransparent("10.0.0.3:80", Cart), "the last mark to be in use");
            AssertKinds(marks);
        }

        await using var again = Marks(data);
        AssertKinds(again);
        again.Record("10.0.0.1:80", Cart);
        await Eventually.Async(() => !again.IsTransparent("10.0.0.1:80", Cart), "the app to serve itself again");
        Assert.True(again.IsMeshed("10.0.0.1:80", Cart));

        static void AssertKinds(MeshMarks marks)
        {
            Assert.Equal([true, true, true], new[] { 1, 2, 3 }.Select(i => marks.IsMeshed($"10.0.0.{i}:80", Cart)));
            Assert.Equal([true, false, true], new[] { 1, 2, 3 }.Select(i => marks.IsTransparent($"10.0.0.{i}:80", Cart)));
        }
    }

    [Fact]
    public async Task File_OfBeforeSidecars_IsReadAndStaysReadableForThose()
    {
        using var data = new DataFolder(_folder);
        data.Write("marks.json", System.Text.Encoding.UTF8.GetBytes($$"""{"{{Cart}}":["10.0.0.1:80"]}"""), secret: false);
        await using var marks = Marks(data);
        Assert.True(marks.IsMeshed("10.0.0.1:80", Cart));
        Assert.False(marks.IsTransparent("10.0.0.1:80", Cart));

        marks.Record("10.0.0.2:80", Cart, transparent: true);
        await Eventually.Async(() => marks.IsTransparent("10.0.0.2:80", Cart), "the mark to be in use");
        var read = System.Text.Json.JsonSerializer.Deserialize<Dictionary<string, string[]>>(data.ReadText("marks.json"))!;
        Assert.Equal(["10.0.0.1:80", "10.0.0.2:80"], read[Cart.ToString()]);
    }

    [Fact]
    public async Task Sidecar_MarkIsForgotten_WithItsKind()
    {
        using var data = new DataFolder(_folder);
        await using var marks = Marks(data);
        _store.Publish(Model("10.0.0.1"));
        marks.Record("10.0.0.2:80", Cart, transparent: true);
        await Eventually.Async(() => marks.IsTransparent("10.0.0.2:80", Cart), "the mark to be in use");
        _time.Advance(TimeSpan.FromHours(1));
        await RecordAsync(marks, "10.0.0.3:80");
        _time.Advance(TimeSpan.FromHours(24));
        await Eventually.Async(() => !marks.IsMeshed("10.0.0.2:80", Cart), "the old mark to be forgotten");

        Assert.False(marks.IsTransparent("10.0.0.2:80", Cart));
    }

    private static async Task RecordAsync(MeshMarks marks, params string[] addresses)
    {
        foreach (var address in addresses)
        {
            marks.Record(address, Cart);
        }

        await Eventually.Async(() => addresses.All(a => marks.IsMeshed(a, Cart)), "the marks to be in use");
    }

    private MeshMarks Marks(DataFolder data) => new(data, new AbsentMarks(_store, TrustDomain.Parse("cluster.local"), _time), _time, _log);

    private static MeshModel Model(params string[] addresses)
    {
        var name = new ServiceName("shop", "cart");
        var endpoints = addresses.Select(a => new ServiceEndpoint("web", a, 80, "cart", true, string.Empty, true)).ToImmutableArray();
        return new MeshModel { Services = ImmutableDictionary<ServiceName, Service>.Empty.Add(name, new Service(name, [new ServicePort("web", 80, null)], endpoints)) };
    }
}
