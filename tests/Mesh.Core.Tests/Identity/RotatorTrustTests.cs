using System.Collections.Frozen;
using Mesh.Config;
using Mesh.Identity;
using Mesh.Spiffe;
using Mesh.Testing;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Core.Tests.Identity;

/// <summary>Trust that comes over xDS, beside certificates that come from a source.</summary>
public sealed class RotatorTrustTests : IAsyncDisposable
{
    private readonly FakeTimeProvider _time = new(TimeProvider.System.GetUtcNow());
    private readonly FakeLogger<SvidRotator> _logger = new();
    private readonly SnapshotStore _snapshots = new();
    private readonly TestCa _old;
    private readonly TestCa _new;
    private readonly PushedSvids _source;
    private readonly SvidRotator _rotator;

    public RotatorTrustTests()
    {
        (_old, _new) = (new TestCa("cluster.local", _time, withIssuer: true), new TestCa("cluster.local", _time, withIssuer: true));
        _source = PushedSvids.From(_old, TimeSpan.FromHours(1));
        _rotator = new SvidRotator(_source, _time, new Random(1), _logger);
    }

    private WorkloadIdentity Current => _rotator.Current!;

    public async ValueTask DisposeAsync()
    {
        await _rotator.DisposeAsync();
        _old.Dispose();
        _new.Dispose();
        Assert.DoesNotContain(_logger.Collector.GetSnapshot(), l => l.Level >= LogLevel.Error);
    }

    [Fact]
    public async Task Bundle_Arrives_IsAtOnceInANewGenerationWithTheSameLeaf()
    {
        await StartAsync();
        List<int> told = [];
        using var subscription = _rotator.Subscribe(identity => told.Add(identity.Generation));
        var leaf = Current.Svid.Leaf;

        // No time passes.
        await TellAsync(Both());

        Assert.Same(leaf, Current.Svid.Leaf);
        Assert.Equal((2, 1), (Current.Generation, Current.LeafGeneration));
        Assert.True(Current.Bundle.HasRoot(_new.Root.Thumbprint));
        Assert.Equal([1, 2], told);
        Assert.Equal(1, _source.Calls);
    }

    [Fact]
    public async Task Bundle_SameAgain_MakesNoGeneration()
    {
        await StartAsync();
        await TellAsync(Both());
        Publish(new TrustBundle(_old.TrustDomain, [_new.Root, _old.Root]));
        await Breath.AdvanceAsync(_time, TimeSpan.FromSeconds(2));

        Assert.Equal(2, Current.Generation);
    }

    [Fact]
    public async Task Bundle_WhileAFetchHangs_IsNotHeldUp()
    {
        await StartAsync();
        var hangs = new TaskCompletionSource();
        _source.Until = hangs.Task;
        _source.Push();
        await Eventually.Async(() => _source.Calls == 2, "a fetch is under way");

        await TellAsync(Both());

        Assert.Equal(2, Current.Generation);
        hangs.SetResult();
        await Eventually.Async(() => Current.LeafGeneration == 3, "the fetch ends");
        Assert.True(Current.Bundle.HasRoot(_new.Root.Thumbprint));
    }

    [Fact]
    public async Task Renewal_AfterABundleCame_KeepsIt()
    {
        await StartAsync();
        var told = Both() with { RevokedSerials = FrozenSet.Create("1f") };
        await TellAsync(told);

        _source.Push();
        await Eventually.Async(() => Current.LeafGeneration == 3, "renewed");

        Assert.Equal(told, Current.Bundle);
    }

    [Fact]
    public async Task RootRotation_AllPhases_TrustAndLeafFollow()
    {
        await StartAsync();
        await TellAsync(Both());
        _source.Issue = () => new IssuedSvid(_new.Identity("shop", "cart").Svid, Both());
        Publish(Both(), _time.GetUtcNow().AddHours(1));
        await Breath.AdvanceAsync(_time, TimeSpan.FromSeconds(2));
        await Eventually.Async(() => Current.LeafGeneration == 3, "a leaf under the new root");
        await TellAsync(_new.Bundle);

        Assert.Equal(_new.Root.Thumbprint, Assert.Single(Current.Bundle.Roots).Thumbprint);
        Assert.Equal(2, _source.Calls);
    }

    [Fact]
    public async Task Bundle_NoLongerVouchesForOurLeaf_TrustNarrowsAtOnceAndRenewsWithinASecond()
    {
        await StartAsync();
        var hangs = new TaskCompletionSource();
        _source.Until = hangs.Task;
        await TellAsync(_new.Bundle);

        Assert.False(Current.Bundle.HasRoot(_old.Root.Thumbprint));
        _source.Issue = () => new IssuedSvid(_new.Identity("shop", "cart").Svid, _new.Bundle);
        hangs.SetResult();
        await Breath.AdvanceAsync(_time, TimeSpan.FromSeconds(2));
        await Eventually.Async(() => Current.LeafGeneration == 3, "renewed");
        Assert.Single(_logger.Collector.GetSnapshot(), l => l.Id.Id == 3009);
    }

    [Fact]
    public async Task Leaf_OfARootThatOurBundleLacks_ItsRootsCountUntilTheNextBundle()
    {
        await StartAsync();
        await TellAsync(_old.Bundle with { RevokedSerials = FrozenSet.Create("1f") });
        _source.Issue = () => new IssuedSvid(_new.Identity("shop", "cart").Svid, _new.Bundle);
        _source.Push();
        await Eventually.Async(() => Current.LeafGeneration > 1, "renewed");

        Assert.True(Current.Bundle.HasRoot(_old.Root.Thumbprint) && Current.Bundle.HasRoot(_new.Root.Thumbprint));
        Assert.Contains("1f", (IReadOnlyCollection<string>)Current.Bundle.RevokedSerials);
        await TellAsync(_new.Bundle);
        Assert.False(Current.Bundle.HasRoot(_old.Root.Thumbprint));
    }

    [Fact]
    public async Task Leaf_AskedForBeforeTheOldRootWasDropped_DoesNotBringItBack()
    {
        await StartAsync();
        await TellAsync(Both());
        var late = new TaskCompletionSource();
        _source.Until = late.Task;
        _source.Push();
        await Eventually.Async(() => _source.Calls == 2, "asked under the old root");
        await TellAsync(_new.Bundle);
        _source.Until = null;
        _source.Issue = () => new IssuedSvid(_new.Identity("shop", "cart").Svid, _new.Bundle);
        late.SetResult();
        await Breath.AdvanceAsync(_time, TimeSpan.FromSeconds(3));

        await Eventually.Async(() => _source.Calls == 3 && Current.Svid.Intermediates[0].Thumbprint == _new.Issuer!.Thumbprint, "asked again");
        Assert.Equal(_new.Bundle, Current.Bundle);
    }

    [Fact]
    public async Task SourceThatOwnsTrust_KeepsItsRootsAndTakesRevocations()
    {
        _source.Issue = () => new IssuedSvid(_old.Identity("shop", "cart").Svid, _old.Bundle, OwnsTrust: true);
        await StartAsync();

        await TellAsync(_new.Bundle with { RevokedSerials = FrozenSet.Create("1f") });

        Assert.Equal(_old.Root.Thumbprint, Assert.Single(Current.Bundle.Roots).Thumbprint);
        Assert.Contains("1f", (IReadOnlyCollection<string>)Current.Bundle.RevokedSerials);
        Assert.Equal(1, _source.Calls);
    }

    [Fact]
    public async Task SourceThatPushes_NewCertificate_IsInForceAtOnce()
    {
        await StartAsync();

        _source.Push();

        await Eventually.Async(() => Current.Generation == 2, "the pushed one is in force");
    }

    [Fact]
    public async Task SourceWithNothingNewer_MakesNoGenerationAndTellsItsAge()
    {
        var same = _old.Identity("shop", "cart", TimeSpan.FromHours(1));
        _source.Issue = () => new IssuedSvid(same.Svid, same.Bundle, OwnsTrust: true);
        await StartAsync();

        await Breath.AdvanceAsync(_time, TimeSpan.FromMinutes(46));

        Assert.Equal(1, Current.Generation);
        Assert.Single(_logger.Collector.GetSnapshot(), l => l.Id.Id == 3004);
    }

    private TrustBundle Both() => new(_old.TrustDomain, [_old.Root, _new.Root]);

    private async Task StartAsync()
    {
        _rotator.Start(_snapshots);
        await _rotator.GetAsync(TestContext.Current.CancellationToken);
    }

    private async Task TellAsync(TrustBundle bundle)
    {
        var before = Current.Generation;
        Publish(bundle);
        await Eventually.Async(() => Current.Generation > before, "the bundle is in force");
    }

    private void Publish(TrustBundle bundle, DateTimeOffset? issuedAfter = null) => _snapshots.Publish(
        MeshSnapshot.Empty with { TrustBundle = bundle, LeafPolicy = issuedAfter is { } after ? new LeafPolicy(after) : null });
}
