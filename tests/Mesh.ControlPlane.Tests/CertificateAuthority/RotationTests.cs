using System.Security.Cryptography.X509Certificates;
using Mesh.ControlPlane.CertificateAuthority;
using Xunit;

namespace Mesh.ControlPlane.Tests.CertificateAuthority;

public sealed class RotationTests : IDisposable
{
    private readonly AuthorityFixture _ca = new();

    public void Dispose() => _ca.Dispose();

    public static TheoryData<string, string, string> Steps => new()
    {
        // what is there; phase; whom it waits for
        { "nobody", nameof(RotationPhase.Distributing), "" },
        { "holder a old", nameof(RotationPhase.Distributing), "a roots" },
        { "holder a new", nameof(RotationPhase.Distributing), "" },
        { "holder a none", nameof(RotationPhase.Distributing), "a roots" },
        { "leaf b oldroots", nameof(RotationPhase.Distributing), "b roots" },
        { "leaf b newroots", nameof(RotationPhase.Distributing), "" },
        { "leaf b oldroots; leaf b newroots", nameof(RotationPhase.Distributing), "" },
        { "leaf b newroots; leaf b oldroots", nameof(RotationPhase.Distributing), "b roots" },
        { "holder a new; leaf a oldroots", nameof(RotationPhase.Distributing), "" },
        { "foreign a; leaf a oldroots", nameof(RotationPhase.Distributing), "a roots" },
        { "holder a new; leaf b oldroots", nameof(RotationPhase.Distributing), "b roots" },
        { "holder a new; leaf a oldroots", nameof(RotationPhase.Issuing), "a leaf" },
        { "holder a new; leaf a newroots", nameof(RotationPhase.Issuing), "a leaf" },
        { "holder a new; leaf a newroots newroot", nameof(RotationPhase.Issuing), "" },
        { "holder a new; leaf a newroots newroot; leaf a oldroots", nameof(RotationPhase.Issuing), "a leaf" },
        { "holder a old; leaf a newroots newroot", nameof(RotationPhase.Issuing), "a roots" },
        { "leaf c early", nameof(RotationPhase.Issuing), "c roots,c leaf" },
        { "holder a old; leaf b oldroots", nameof(RotationPhase.Retiring), "a roots" },
        { "holder a new; leaf b oldroots", nameof(RotationPhase.Retiring), "" },
        { "holder a old; leaf a oldroots", nameof(RotationPhase.Stable), "" },
    };

    [Theory]
    [MemberData(nameof(Steps))]
    public void Step_WaitsForWhoeverStillNeedsTheOld(string world, string phase, string waits)
    {
        var (holders, leaves) = (new List<TrustHolder>(), new List<Issuance>());
        var at = _ca.Time.GetUtcNow();
        foreach (var words in world.Split("; ").Select(w => w.Split(' ')).Where(w => w.Length > 1))
        {
            at += TimeSpan.FromSeconds(1);
            switch (words[0])
            {
                case "holder": holders.Add(new TrustHolder(AuthorityFixture.Cart, words[1], true, words[2] == "new" ? "v2" : words[2] == "old" ? "v1" : null)); break;
                case "foreign": holders.Add(new TrustHolder(AuthorityFixture.Cart, words[1], false, null)); break;
                default:
                    leaves.Add(new Issuance(AuthorityFixture.Cart.ToString(), words[1], "1", at, at, at.AddHours(1))
                    {
                        Roots = words[2] == "newroots" ? "r2" : words[2] == "oldroots" ? "r1" : null,
                        Root = words[^1] == "newroot" ? "new" : words[2] == "early" ? null : "old",
                    });
                    break;
            }
        }

        var found = RotationStep.Waits(new RotationFacts(Enum.Parse<RotationPhase>(phase), "v2", "r2", ["old"], holders, leaves));

        Assert.Equal(waits, string.Join(',', found.Select(w => $"{w.Node} {w.For}")));
    }

    /// <summary>Files that an agent has written are read every few seconds.</summary>
    [Fact]
    public void Phase_EndsOnlyWhenNobodyWasWaitedForForAWhile()
    {
        _ca.Settle = TimeSpan.FromSeconds(10);
        _ca.Start();
        Assert.Null(_ca.Authority.Rotate("test"));

        _ca.Keeper.Tick();
        _ca.Time.Advance(TimeSpan.FromSeconds(9));
        _ca.Keeper.Tick();
        Assert.Equal(RotationPhase.Distributing, _ca.State.Phase);

        _ca.Time.Advance(TimeSpan.FromSeconds(1));
        _ca.Keeper.Tick();
        Assert.Equal(RotationPhase.Issuing, _ca.State.Phase);
    }

    [Fact]
    public void Rotation_GoesItsWayAlone_AndNobodyIsEverLeftWithoutTrust()
    {
        var old = _ca.Start().Leaf(life: TimeSpan.FromHours(1));
        var oldRoot = _ca.State.Signing.Root;
        Hold();
        Assert.Null(_ca.Authority.Rotate("test"));
        Assert.NotNull(_ca.Authority.Rotate("twice"));

        // Distributing: both are trusted, the old signs, and what is signed comes with both.
        var during = _ca.Leaf(life: TimeSpan.FromHours(1));
        Assert.Equal(oldRoot, during.Authority.Root);
        Assert.Equal(2, _ca.Trust.Current.Roots.Count);
        Assert.Equal([during.Leaf, during.Authority.Issuer.Certificate, _ca.State.Next!.Root, oldRoot], during.Chain);
        Tick(RotationPhase.Distributing);
        Hold();
        Tick(RotationPhase.Issuing);

        // Issuing: the new signs, everyone is asked to renew, the old is trusted as long as a leaf is under it.
        var after = _ca.Leaf(life: TimeSpan.FromHours(10));
        Assert.NotEqual(oldRoot, after.Authority.Root);
        Assert.Equal([X509ChainStatusFlags.NoError, X509ChainStatusFlags.NoError], new[] { old, after }.Select(l => _ca.Verify(l)));
        Tick(RotationPhase.Issuing);
        Assert.True(_ca.LeafPolicy.IssuedAfter >= _ca.State.Since);
        _ca.Time.Advance(TimeSpan.FromMinutes(59));
        Tick(RotationPhase.Issuing);
        Assert.Equal("leaf", Assert.Single(_ca.Keeper.Waits).For);
        Assert.Contains(oldRoot, _ca.Trust.Current.Roots);
        _ca.Time.Advance(TimeSpan.FromMinutes(2));
        Tick(RotationPhase.Retiring);

        // Retiring: until everyone has dropped it.
        Assert.Equal([after.Authority.Root], _ca.Trust.Current.Roots);
        Tick(RotationPhase.Retiring);
        Hold();
        Tick(RotationPhase.Stable);
        Assert.NotEqual(X509ChainStatusFlags.NoError, _ca.Verify(old));
        Assert.Equal(X509ChainStatusFlags.NoError, _ca.Verify(after));
        Assert.Null(_ca.Authority.Rotate("again"));

        void Hold() => _ca.Holders.Hold("cart~1~shop", _ca.Trust.Current.Version);
        void Tick(RotationPhase expected)
        {
            _ca.Keeper.Tick();
            Assert.Equal(expected, _ca.State.Phase);
        }
    }

    [Fact]
    public void Rotation_RestartedInEveryPhase_GoesOnWhereItWas()
    {
        _ca.Start().Leaf("away", TimeSpan.FromHours(1));
        var oldRoot = _ca.State.Signing.RootId;
        _ca.Authority.Rotate("test");
        var (next, since) = (_ca.State.Next!.RootId, _ca.State.Since);

        _ca.Start();
        Assert.Equal((RotationPhase.Distributing, since, oldRoot, next), (_ca.State.Phase, _ca.State.Since, _ca.State.Signing.RootId, _ca.State.Next!.RootId));
        Assert.Equal(X509ChainStatusFlags.NoError, _ca.Verify(_ca.Leaf("away", TimeSpan.FromHours(1))));
        _ca.Keeper.Tick();

        // The newest certificate of the one that is away came with both roots: it needs no stream to know them.
        _ca.Start();
        Assert.Equal((RotationPhase.Issuing, next), (_ca.State.Phase, _ca.State.Signing.RootId));
        _ca.Keeper.Tick();
        Assert.Equal(RotationPhase.Issuing, _ca.State.Phase);
        Assert.Equal(["away"], _ca.Keeper.Waits.Select(w => w.Node));
        _ca.Time.Advance(TimeSpan.FromHours(2));
        _ca.Keeper.Tick();

        _ca.Holders.Hold("slow", "an earlier version");
        _ca.Start();
        Assert.Equal((RotationPhase.Retiring, next, 1), (_ca.State.Phase, _ca.State.Signing.RootId, _ca.Trust.Current.Roots.Count));
        _ca.Keeper.Tick();
        Assert.Equal(RotationPhase.Retiring, _ca.State.Phase);
        _ca.Holders.All.Clear();
        _ca.Keeper.Tick();

        _ca.Start();
        Assert.Equal((RotationPhase.Stable, next), (_ca.State.Phase, _ca.State.Signing.RootId));
        Assert.Equal(_ca.Trust.Current.Pem, File.ReadAllText(Path.Combine(_ca.Options.DataFolder, "trust-bundle.pem")));
    }

    [Fact]
    public void Crash_BetweenIssuingAndAsking_IsMadeUpFor()
    {
        _ca.Start();
        _ca.Authority.Rotate("test");
        _ca.Authority.Advance(_ca.State);
        Assert.True(_ca.LeafPolicy.IssuedAfter < _ca.State.Since);

        _ca.Start().Keeper.Tick();

        Assert.True(_ca.LeafPolicy.IssuedAfter >= _ca.State.Since);
    }

    [Fact]
    public void RevokedLeaf_HoldsNothingUp()
    {
        var leaf = _ca.Start().Leaf("gone", TimeSpan.FromHours(24));
        _ca.Authority.Rotate("test");
        _ca.Keeper.Tick();
        Assert.Equal((RotationPhase.Distributing, "gone"), (_ca.State.Phase, Assert.Single(_ca.Keeper.Waits).Node));

        _ca.Trust.Revoke(new Revocation(null, Certificates.Serial(leaf.Leaf), null, _ca.Time.GetUtcNow(), Certificates.NotAfter(leaf.Leaf)));
        for (var i = 0; i < 3; i++)
        {
            _ca.Keeper.Tick();
        }

        Assert.Equal(RotationPhase.Stable, _ca.State.Phase);
    }

    [Fact]
    public void OwnRoot_WithLessThanAThirdLeft_ChangesByItself()
    {
        var root = _ca.Start().State.Signing.RootId;
        _ca.Time.Advance(TimeSpan.FromDays(365 * 6.6));
        _ca.Keeper.Tick();
        Assert.Equal((RotationPhase.Stable, root), (_ca.State.Phase, _ca.State.Signing.RootId));

        _ca.Time.Advance(TimeSpan.FromDays(40));
        for (var i = 0; i < 4; i++)
        {
            _ca.Keeper.Tick();
        }

        Assert.Equal(RotationPhase.Stable, _ca.State.Phase);
        Assert.NotEqual(root, _ca.State.Signing.RootId);
        Assert.Equal(X509ChainStatusFlags.NoError, _ca.Verify(_ca.Leaf()));
    }

    [Fact]
    public void RetiredRoot_LeavesNoKeyBehind()
    {
        using var earlier = new GivenCa("mesh root of before", _ca.Time);
        Directory.CreateDirectory(_ca.Options.DataFolder);
        File.WriteAllText(Path.Combine(_ca.Options.DataFolder, "root-cert.pem"), earlier.Pem);
        File.WriteAllText(Path.Combine(_ca.Options.DataFolder, "root-key.pem"), earlier.KeyPem);
        _ca.Start().Authority.Rotate("test");
        for (var i = 0; i < 3; i++)
        {
            _ca.Keeper.Tick();
        }

        Assert.Equal(RotationPhase.Stable, _ca.State.Phase);
        Assert.False(File.Exists(Path.Combine(_ca.Options.DataFolder, "root-key.pem")));
        Assert.NotEqual(earlier.Certificate.RawData, _ca.Start().State.Signing.Root.GetEncoded());
    }

    [Fact]
    public void RevokedIdentity_HoldsNothingUp()
    {
        _ca.Start().Leaf("gone", TimeSpan.FromHours(24));
        _ca.Authority.Rotate("test");
        Assert.Single(_ca.Keeper.Waits);

        _ca.Trust.Revoke(new Revocation(AuthorityFixture.Cart.ToString(), null, null, _ca.Time.GetUtcNow(), null));

        Assert.Empty(_ca.Keeper.Waits);
    }

    [Theory]
    [InlineData("authority.json")]
    [InlineData("trust-bundle.pem")]
    public void FullDisk_ChangesNothing_AndIsTriedAgain(string file)
    {
        _ca.Start();
        var before = _ca.State;
        var obstacle = Directory.CreateDirectory(Path.Combine(_ca.Options.DataFolder, file + ".new"));

        Assert.ThrowsAny<SystemException>(() => _ca.Authority.Rotate("test"));
        Assert.Same(before, _ca.State);
        Assert.Single(_ca.Trust.Current.Roots);
        obstacle.Delete();

        Assert.Null(_ca.Authority.Rotate("test"));
        Assert.Equal(2, _ca.Trust.Current.Roots.Count);
        obstacle.Create();
        before = _ca.State;
        Assert.ThrowsAny<SystemException>(() => _ca.Authority.Advance(before));
        Assert.Same(before, _ca.State);
        obstacle.Delete();
        _ca.Keeper.Tick();
        Assert.Equal(RotationPhase.Issuing, _ca.State.Phase);
    }
}
