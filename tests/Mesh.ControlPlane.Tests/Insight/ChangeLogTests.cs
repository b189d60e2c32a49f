using Mesh.ControlPlane.Insight;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Xds;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.Insight;

public sealed class ChangeLogTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("mesh-changes-").FullName;
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 5, 1, 14, 0, 0, TimeSpan.Zero));

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Restart_KeepsWhatChangedAndCountsVersionsOn()
    {
        await using (var first = await OpenAsync())
        {
            first.Log.NextVersion();
            first.Log.Add(ChangeKinds.Config, "HTTPRoute shop/<script>alert(1)</script> added", "shop", "cart");
            first.Log.NextVersion();
            first.Log.Add(ChangeKinds.Fault, "over", "shop", "cart", recovery: true);
        }

        await File.AppendAllTextAsync(Path.Combine(_folder, "changes.jsonl"), "{\"at\":\"2026-05", TestContext.Current.CancellationToken); // As a full disk leaves it.
        await using var second = await OpenAsync();
        second.Log.NextVersion();

        Assert.Equal(["over", "HTTPRoute shop/<script>alert(1)</script> added"], second.Log.Newest(10).Select(c => c.What));
        Assert.Equal([true, false], second.Log.Newest(10).Select(c => c.Recovery));
        Assert.Equal("3", second.Log.Version);
        Assert.Equal("over", Assert.Single(second.Log.Of("shop", "cart", 1)).What);
        Assert.Empty(second.Log.Of("other", "cart", 10));
    }

    [Fact]
    public async Task Many_AreBoundedInMemoryAndOnDisk()
    {
        await using (var opened = await OpenAsync())
        {
            for (var i = 0; i < 3 * ChangeLog.Most; i++)
            {
                opened.Log.Add(ChangeKinds.Config, $"{i}");
            }

            Assert.Equal(ChangeLog.Most, opened.Log.Newest(int.MaxValue).Count);
            Assert.Equal($"{(3 * ChangeLog.Most) - 1}", opened.Log.Newest(1)[0].What);
        }

        Assert.True(File.ReadLines(Path.Combine(_folder, "changes.jsonl")).Count() <= 2 * ChangeLog.Most);
    }

    [Fact]
    public async Task Clients_ThatComeBackAtOnce_AreNotTold_AndManyAreToldTogether()
    {
        await using var opened = await OpenAsync();
        var events = new ClientEvents(opened.Log);
        NodeContext Node(int i) => new($"cart~{i}~shop", "shop", null);
        events.Take(new(ClientEventKind.Lost, Node(0)));
        events.Take(new(ClientEventKind.Connected, Node(0)));
        events.Take(new(ClientEventKind.Lost, Node(1)));
        events.Take(new(ClientEventKind.Refused, Node(2), "Listener: no"));
        for (var i = 10; i < 20; i++)
        {
            events.Take(new(ClientEventKind.Connected, Node(i)));
        }

        events.Flush();

        Assert.Equal(
            ["cart~2~shop refused its configuration: Listener: no", "10 clients are connected: cart~10~shop, cart~11~shop, cart~12~shop, …", "cart~1~shop lost its connection"], opened.Log.Newest(10).Select(c => c.What));
        events.Flush();
        Assert.Equal(3, opened.Log.Newest(10).Count);
    }

    private async Task<Opened> OpenAsync()
    {
        var data = new DataFolder(_folder);
        var log = new ChangeLog(data, _time, NullLogger<ChangeLog>.Instance);
        await log.StartAsync(TestContext.Current.CancellationToken);
        return new Opened(data, log);
    }

    private sealed record Opened(DataFolder Data, ChangeLog Log) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await Log.StopAsync(CancellationToken.None);
            Log.Dispose();
            Data.Dispose();
        }
    }
}
