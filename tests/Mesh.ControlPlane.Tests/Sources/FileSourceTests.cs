using System.Net;
using System.Net.Sockets;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources;
using Mesh.ControlPlane.Sources.Files;
using Mesh.Testing;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.Sources;

public sealed class FileSourceTests : IDisposable
{
    private static readonly ServiceName A = new("shop", "a");

    private readonly string _folder = Directory.CreateTempSubdirectory("mesh-files-").FullName;
    private readonly ModelStore _store = new();
    private readonly FakeTimeProvider _time = new();
    private readonly FakeLogger _logger = new();
    private readonly FakeMarks _marks = new();
    private readonly FakeResolver _resolver = new();

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task StartAsync_ReadsEverythingBelowTheFolder_BeforeItReturns()
    {
        Write("a.yaml", Manifests.Service("a"));
        Write("deep/er/b.yml", Manifests.Service("b"));
        Write("notes.txt", "no manifest");
        Write(".hidden/c.yaml", Manifests.Service("c"));
        await using var source = Source();

        await source.StartAsync(TestContext.Current.CancellationToken);

        Assert.Equal(["a", "b"], _store.Current.Services.Keys.Select(k => k.Name).Order());
        Assert.Empty(_store.Current.Problems);
    }

    [Fact]
    public async Task StartAsync_LinksInACircle_AreReadOnceAndSoon()
    {
        Write("a.yaml", Manifests.Service("a"));
        Write("deep/b.yaml", Manifests.Service("b"));
        var outside = Directory.CreateTempSubdirectory("mesh-files-").FullName;
        await File.WriteAllTextAsync(Path.Combine(outside, "c.yaml"), Manifests.Service("c"), TestContext.Current.CancellationToken);
        File.CreateSymbolicLink(Path.Combine(outside, "back"), _folder);
        File.CreateSymbolicLink(Path.Combine(outside, "self"), ".");
        File.CreateSymbolicLink(Path.Combine(_folder, "out"), outside);
        File.CreateSymbolicLink(Path.Combine(_folder, "deep", "up"), "..");
        File.CreateSymbolicLink(Path.Combine(_folder, "here"), ".");
        File.CreateSymbolicLink(Path.Combine(_folder, "all"), "/");
        await using var source = Source();

        await source.StartAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);

        Assert.Equal(["a", "b", "c"], _store.Current.Services.Keys.Select(k => k.Name).Order());
        Assert.Empty(_store.Current.Problems);
        Directory.Delete(outside, recursive: true);
    }

    [Fact]
    public async Task StartAsync_FiveThousandFiles_AreReadInSeconds()
    {
        for (var i = 0; i < 2_500; i++)
        {
            Write($"{i}.yaml", Manifests.Service($"s{i}"));
            Write($"{i}-slice.yaml", Manifests.Slice($"s{i}", $"10.1.{i / 250}.{1 + (i % 250)}"));
        }

        await using var source = Source();

        await source.StartAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

        Assert.Equal(2_500, _store.Current.Services.Count);
        Assert.Empty(_store.Current.Problems);
    }

    [Fact]
    public async Task StartAsync_NoFolder_SaysSo()
    {
        await using var source = Source(Path.Combine(_folder, "nope"));

        var e = await Assert.ThrowsAsync<DirectoryNotFoundException>(() => source.StartAsync(TestContext.Current.CancellationToken));

        Assert.Contains("nope' does not exist. Create it", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task StartAsync_FileInsteadOfFolder_SaysSo()
    {
        Write("a.yaml", "");
        await using var source = Source(Path.Combine(_folder, "a.yaml"));

        var e = await Assert.ThrowsAsync<DirectoryNotFoundException>(() => source.StartAsync(TestContext.Current.CancellationToken));

        Assert.Contains("is a file. Name the folder", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ChangedFile_IsReadAgain()
    {
        Write("a.yaml", Manifests.Service("a", 80));
        await using var source = await StartedAsync();

        Write("a.yaml", Manifests.Service("a", 81));

        await AdvanceUntilAsync(() => _store.Current.Services[A].Ports[0].Port == 81, "the new port is in force");
    }

    [Fact]
    public async Task AddedAndDeletedFiles_AreFollowed()
    {
        Write("a.yaml", Manifests.Service("a"));
        await using var source = await StartedAsync();

        Write("sub/b.yaml", Manifests.Service("b"));
        await AdvanceUntilAsync(() => _store.Current.Services.Count == 2, "b came");
        File.Delete(Path.Combine(_folder, "a.yaml"));
        await AdvanceUntilAsync(() => _store.Current.Services.Keys.SequenceEqual([new ServiceName("shop", "b")]), "a went");
    }

    [Fact]
    public async Task AtomicRename_IsSeen()
    {
        Write("a.yaml", Manifests.Service("a", 80));
        await using var source = await StartedAsync();

        Write("a.yaml.swp", Manifests.Service("a", 81));
        File.Move(Path.Combine(_folder, "a.yaml.swp"), Path.Combine(_folder, "a.yaml"), overwrite: true);

        await AdvanceUntilAsync(() => _store.Current.Services[A].Ports[0].Port == 81, "the renamed file is in force");
    }

    [Fact]
    public async Task SwappedConfigMapLink_IsSeen()
    {
        Write("..one/a.yaml", Manifests.Service("a", 80));
        Write("..two/a.yaml", Manifests.Service("a", 81));
        Directory.CreateSymbolicLink(Path.Combine(_folder, "..data"), "..one");
        File.CreateSymbolicLink(Path.Combine(_folder, "a.yaml"), "..data/a.yaml");
        await using var source = await StartedAsync();
        Assert.Equal(80, Assert.Single(_store.Current.Services).Value.Ports[0].Port);

        Directory.CreateSymbolicLink(Path.Combine(_folder, "..data_tmp"), "..two");
        Directory.Delete(Path.Combine(_folder, "..data"));
        Directory.Move(Path.Combine(_folder, "..data_tmp"), Path.Combine(_folder, "..data"));

        await AdvanceUntilAsync(() => _store.Current.Services[A].Ports[0].Port == 81, "the swapped content is in force");
    }

    [Fact]
    public async Task BrokenFile_KeepsTheLastGood_AndWarnsOnce()
    {
        Write("a.yaml", Manifests.Service("a", 80));
        await using var source = await StartedAsync();

        Write("a.yaml", "kind: [");
        await AdvanceUntilAsync(() => _store.Current.Problems.Length == 1, "the problem is told");
        source.Refresh();
        Write("b.yaml", Manifests.Service("b"));
        await AdvanceUntilAsync(() => _store.Current.Services.Count == 2, "the rest is used");

        Assert.Equal(80, _store.Current.Services[A].Ports[0].Port);
        Assert.Contains("What was last read from the file stays in force.", _store.Current.Problems[0].What, StringComparison.Ordinal);
        Assert.Single(_logger.Collector.GetSnapshot(), r => r.Level == LogLevel.Warning);

        Write("a.yaml", Manifests.Service("a", 82));
        await AdvanceUntilAsync(() => _store.Current.Services[A].Ports[0].Port == 82, "the repaired file is in force");
        Assert.Empty(_store.Current.Problems);
    }

    [Fact]
    public async Task Burst_IsReadOnce_AfterTheQuietTime()
    {
        await using var source = await StartedAsync();
        var published = 0;
        using var subscription = _store.Subscribe(_ => Interlocked.Increment(ref published));
        // Who subscribes is told what is in force: that is no reading.
        Interlocked.Exchange(ref published, 0);

        for (var i = 0; i < 20; i++)
        {
            Write($"f{i}.yaml", Manifests.Service($"s{i}"));
        }

        await AdvanceUntilAsync(() => _store.Current.Services.Count == 20 && Volatile.Read(ref published) > 0, "all are there and told");
        Assert.Equal(1, published);
    }

    [Fact]
    public async Task FolderGone_KeepsTheLastGood()
    {
        Write("sub/a.yaml", Manifests.Service("a"));
        await using var source = Source(Path.Combine(_folder, "sub"));
        await source.StartAsync(TestContext.Current.CancellationToken);

        Directory.Delete(Path.Combine(_folder, "sub"), recursive: true);
        await AdvanceUntilAsync(() => _logger.Collector.GetSnapshot().Any(r => r.Id.Name == "FolderUnreadable"), "the missing folder is told");

        Assert.Single(_store.Current.Services);
        Write("sub/a.yaml", Manifests.Service("a", 81));
        await AdvanceUntilAsync(() => _store.Current.Services[A].Ports[0].Port == 81, "the folder is back");
    }

    [Fact]
    public async Task Refresh_AppliesTheMarks()
    {
        Write("a.yaml", Manifests.Service("a") + "\n---\n" + Manifests.Slice("a", "127.0.0.1"));
        await using var source = await StartedAsync();
        Assert.False(_store.Current.Services[A].Endpoints[0].Meshed);

        _marks.HostPorts = ["127.0.0.1:8080"];
        source.Refresh();

        await Eventually.Async(() => _store.Current.Services[A].Endpoints[0].Meshed, "the endpoint is marked");
    }

    [Fact]
    public async Task Fqdn_IsResolvedAtStart_AndAgainEvery5Seconds()
    {
        _resolver.Answers = [IPAddress.Parse("127.0.0.1")];
        Write("a.yaml", FqdnService);
        await using var source = await StartedAsync();
        Assert.Equal(["127.0.0.1:8080"], _store.Current.Services[A].Endpoints.Select(e => e.HostPort));

        _resolver.Answers = [IPAddress.Parse("127.0.0.3"), IPAddress.Parse("127.0.0.2")];
        var asked = _resolver.Asked;
        _time.Advance(TimeSpan.FromSeconds(4.9));
        Assert.Equal(asked, _resolver.Asked);
        await AdvanceUntilAsync(() => _store.Current.Services[A].Endpoints.Length == 2, "the new addresses are in force");
    }

    [Fact]
    public async Task Fqdn_ThatFails_KeepsItsAddresses_AndIsTold()
    {
        _resolver.Answers = [IPAddress.Parse("127.0.0.1")];
        Write("a.yaml", FqdnService);
        await using var source = await StartedAsync();

        _resolver.Answers = null;
        await AdvanceUntilAsync(() => _store.Current.Problems.Length == 1, "the failure is told");

        Assert.Single(_store.Current.Services[A].Endpoints);
        Assert.Contains("host name 'a.example' cannot be resolved", _store.Current.Problems[0].What, StringComparison.Ordinal);
        Assert.Contains("Its last known addresses stay in force.", _store.Current.Problems[0].What, StringComparison.Ordinal);
    }

    private static string FqdnService => Manifests.Service("a") + "\n---\n" + Manifests.Slice("a", "a.example").Replace("IPv4", "FQDN", StringComparison.Ordinal);

    private FileSource Source(string? folder = null) =>
        new(new FileSourceOptions { Folder = folder ?? _folder, TrustDomain = Manifests.TrustDomain }, _marks, _store, _time, _logger, _resolver);

    private async Task<FileSource> StartedAsync()
    {
        var source = Source();
        await source.StartAsync(TestContext.Current.CancellationToken);
        return source;
    }

    private void Write(string path, string text)
    {
        var full = Path.Combine(_folder, path);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        File.WriteAllText(full, text);
    }

    /// <summary>Fake time goes on while a condition is waited for: what stands on timers then happens.</summary>
    private Task AdvanceUntilAsync(Func<bool> condition, string what) => Eventually.Async(
        () =>
        {
            _time.Advance(TimeSpan.FromMilliseconds(200));
            return condition();
        },
        what);

    private sealed class FakeResolver : IHostNameResolver
    {
        private int _asked;

        public IReadOnlyList<IPAddress>? Answers { get; set; } = [];

        public int Asked => _asked;

        public Task<IReadOnlyList<IPAddress>> ResolveAsync(string name, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _asked);
            return Answers is { } answers ? Task.FromResult(answers) : throw new SocketException((int)SocketError.HostNotFound);
        }
    }
}
