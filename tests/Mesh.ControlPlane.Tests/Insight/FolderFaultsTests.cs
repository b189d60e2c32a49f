using Mesh.ControlPlane.Insight;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources;
using Mesh.ControlPlane.Sources.Manifests;
using Mesh.ControlPlane.Tests.Sources;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.Insight;

public sealed class FolderFaultsTests : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("mesh-faults-").FullName;
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 5, 1, 14, 0, 0, TimeSpan.Zero));
    private readonly ManifestOverlay _overlay = new();
    private DataFolder _data = null!;
    private FolderFaults _faults = null!;

    public ValueTask InitializeAsync()
    {
        Open();
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await CloseAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Add_IsAPolicyInForce_UntilItsEnd()
    {
        await _faults.AddAsync(Fault("1", delay: 200), TestContext.Current.CancellationToken);

        var policy = Assert.Single(Model().Policies);
        Assert.True(Assert.Single(policy.Attachments).IsAccepted, policy.Attachments[0].Message);
        Assert.Equal("+200ms for 100 %", ModelWords.Settings(policy));
        Assert.Equal(_time.GetUtcNow() + TimeSpan.FromSeconds(60), policy.ExpiresAt);

        _time.Advance(TimeSpan.FromSeconds(61));
        Assert.Empty(_faults.All);
        Assert.Empty(_overlay.Files);
        Assert.Equal("[]", _data.ReadText("faults.json"));
    }

    [Fact]
    public async Task Add_OnTheSameService_TakesItsPlace()
    {
        await _faults.AddAsync(Fault("1", delay: 200), TestContext.Current.CancellationToken);
        await _faults.AddAsync(Fault("2", abort: 503), TestContext.Current.CancellationToken);

        Assert.Equal("HTTP 503 for 50 %", ModelWords.Settings(Assert.Single(Model().Policies)));
        Assert.False(await _faults.RemoveAsync("1", TestContext.Current.CancellationToken));
        Assert.True(await _faults.RemoveAsync("2", TestContext.Current.CancellationToken));
        Assert.Empty(Model().Policies);
    }

    [Fact]
    public async Task Restart_NeitherEndsNorProlongsIt()
    {
        await _faults.AddAsync(Fault("1", delay: 200), TestContext.Current.CancellationToken);
        var end = _faults.All[0].ExpiresAt;
        await CloseAsync();
        _time.Advance(TimeSpan.FromSeconds(30));
        Open();
        Assert.Equal(end, Assert.Single(Model().Policies).ExpiresAt);

        await CloseAsync();
        _time.Advance(TimeSpan.FromSeconds(31));
        Open();
        Assert.Empty(Model().Policies);
    }

    private void Open()
    {
        _data = new DataFolder(_folder);
        _faults = new FolderFaults(_data, _overlay, _time, NullLogger<FolderFaults>.Instance);
    }

    private async Task CloseAsync()
    {
        await _faults.DisposeAsync();
        _data.Dispose();
    }

    private TemporaryFault Fault(string id, int? delay = null, int? abort = null) =>
        new(id, "shop", "cart", delay, null, abort, null, abort is null ? null : 50, _time.GetUtcNow(), _time.GetUtcNow() + TimeSpan.FromSeconds(60), "admin");

    private MeshModel Model() => Manifests.Assemble([ManifestFile.Read("in.yaml", Manifests.Service("cart"), null), .. _overlay.Files]);
}
