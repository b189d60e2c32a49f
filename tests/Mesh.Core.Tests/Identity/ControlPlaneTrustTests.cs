using System.Collections.Frozen;
using Mesh.Config;
using Mesh.Identity;
using Mesh.Spiffe;
using Mesh.Testing;
using Xunit;

namespace Mesh.Core.Tests.Identity;

/// <summary>Who vouches for the control plane, as its root changes under a running workload (ADR 11).</summary>
public sealed class ControlPlaneTrustTests : IDisposable
{
    private readonly TestCa _old = new("cluster.local", withIssuer: true);
    private readonly TestCa _new = new("cluster.local", withIssuer: true);
    private readonly SnapshotStore _snapshots = new();
    private readonly ControlPlaneTrust _trust;
    private TrustBundle? _file;

    public ControlPlaneTrustTests()
    {
        _file = _old.Bundle;
        _trust = new ControlPlaneTrust(() => _file ?? throw new SvidException("gone", needsPerson: true));
        _trust.Follow(_snapshots);
    }

    public void Dispose()
    {
        _old.Dispose();
        _new.Dispose();
    }

    [Fact]
    public void NothingTold_TheFileCounts()
    {
        Assert.Null(_trust.Held);
        Assert.Equal(_old.Bundle, _trust.Read());
        _file = _new.Bundle;
        Assert.Equal(_new.Bundle, _trust.Read());
        _file = null;
        Assert.Throws<SvidException>(_trust.Read);
    }

    [Fact]
    public void NewerBundleTold_OldFileIsNotEnough()
    {
        _trust.Read();
        Tell(new TrustBundle(_old.TrustDomain, [_old.Root, _new.Root]));
        Assert.Equal(2, _trust.Read().Roots.Count);

        Tell(_new.Bundle);

        Assert.Equal(_new.Bundle, _trust.Read());
        _file = null;
        Assert.Equal(_new.Bundle, _trust.Read());
    }

    [Fact]
    public void FileGetsANewRoot_ThatOneCountsBesideTheBundle()
    {
        _trust.Read();
        Tell(_old.Bundle with { RevokedSerials = FrozenSet.Create("1f") });

        // A control plane that lost its data folder: the operator hands out its new root.
        _file = _new.Bundle;

        Assert.Equal(2, _trust.Read().Roots.Count);
        Assert.True(_trust.Held!.HasRoot(_new.Root.Thumbprint));
        Assert.Contains("1f", (IReadOnlyCollection<string>)_trust.Held.RevokedSerials);
    }

    [Fact]
    public async Task Dialer_ControlPlaneUnderTheNewRoot_IsBelievedOnceTheBundleSaysSo()
    {
        await using var authority = await FakeAuthority.StartAsync(_new);
        _trust.Read();
        Assert.Contains("does not chain", (await FailsAsync(authority)).Message, StringComparison.Ordinal);

        Tell(new TrustBundle(_old.TrustDomain, [_old.Root, _new.Root]));

        Assert.Equal("spiffe://cluster.local/ns/shop/sa/cart", (await Source(authority).FetchAsync(null, TestContext.Current.CancellationToken)).Svid.Id.ToString());
    }

    [Fact]
    public async Task Dialer_ControlPlaneUnderARetiredRoot_IsNotBelievedThoughTheFileHoldsIt()
    {
        await using var authority = await FakeAuthority.StartAsync(_old);
        await Source(authority).FetchAsync(null, TestContext.Current.CancellationToken);

        Tell(_new.Bundle);

        Assert.Contains("does not chain to a root in the trust bundle that the control plane gave out", (await FailsAsync(authority)).Message, StringComparison.Ordinal);
        Assert.Single(authority.Proofs);
    }

    private async Task<SvidException> FailsAsync(FakeAuthority authority) =>
        await Assert.ThrowsAsync<SvidException>(() => Source(authority).FetchAsync(null, TestContext.Current.CancellationToken));

    private CaSvidSource Source(FakeAuthority authority) => new(
        authority.Address, SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/cart"), "n", new ControlPlaneDialer(_trust), () => "good-token", TimeProvider.System);

    private void Tell(TrustBundle bundle) => _snapshots.Publish(MeshSnapshot.Empty with { TrustBundle = bundle });
}
