using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mesh.ControlPlane.CertificateAuthority;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Mesh.ControlPlane.Tests.CertificateAuthority;

public sealed class IssuerFilesTests : IDisposable
{
    private readonly AuthorityFixture _ca = new();
    private readonly GivenCa _root;
    private int _generation;

    public IssuerFilesTests()
    {
        _root = new GivenCa("corporate root", _ca.Time);
        _ca.Options.Issuer = _ca.Given;
    }

    public void Dispose()
    {
        _root.Dispose();
        _ca.Dispose();
    }

    [Theory]
    [InlineData("P-256")]
    [InlineData("P-384")]
    [InlineData("RSA")]
    public void Given_OfEveryKey_SignsLeaves_AndItsKeyStaysInItsFile(string key)
    {
        Put(_root.Issuer("given issuer", key), _root.Pem);
        var leaf = _ca.Start().Leaf();

        Assert.Equal(X509ChainStatusFlags.NoError, _ca.Verify(leaf));
        Assert.Equal("CN=given issuer", leaf.Leaf.IssuerDN.ToString());
        Assert.Equal(_root.Certificate.RawData, leaf.Authority.Root.GetEncoded());
        Assert.DoesNotContain("PRIVATE KEY", File.ReadAllText(Path.Combine(_ca.Options.DataFolder, "authority.json")), StringComparison.Ordinal);
        Assert.NotNull(_ca.Authority.Rotate("test"));
    }

    [Theory]
    [InlineData("another root", "does not hold under the roots")]
    [InlineData("another key", "is not the key of")]
    [InlineData("no CA", "may not sign others")]
    [InlineData("other names", "does not hold under the roots")]
    [InlineData("over", "which is not now")]
    [InlineData("no root", "holds no self-signed certificate")]
    [InlineData("nothing", "can't be read")]
    public void Given_Wrong_IsRefusedAtStart(string wrong, string why)
    {
        using var other = new GivenCa("another root", _ca.Time);
        var (certificate, key) = _root.Issuer("given issuer", isCa: wrong != "no CA", permittedHost: wrong == "other names" ? "other.example" : null, life: wrong == "over" ? TimeSpan.FromMinutes(-1) : null);
        Put((certificate, wrong == "another key" ? other.KeyPem : key), wrong switch { "another root" => other.Pem, "no root" => certificate, _ => _root.Pem });
        if (wrong == "nothing")
        {
            File.Delete(Path.Combine(_ca.Given, "ca.crt"));
        }

        var refused = Assert.Throws<InvalidDataException>(() => _ca.Start());

        Assert.Contains(why, refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("PRIVATE", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Anchor_ThatIsNoAuthority_IsRefused_AsEveryWorkloadWould()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var plain = new CertificateRequest("CN=plain", key, HashAlgorithmName.SHA256).CreateSelfSigned(_ca.Time.GetUtcNow().AddHours(-1), _ca.Time.GetUtcNow().AddDays(1));
        Put(_root.Issuer("given issuer"), _root.Pem + plain.ExportCertificatePem() + "\n");

        var refused = Assert.Throws<InvalidDataException>(() => _ca.Start());

        Assert.Contains("'CN=plain'", refused.Message, StringComparison.Ordinal);
        Assert.Contains("basic constraint CA", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Given_ReplacedBySymlinkSwap_IsTakenWithoutRestart()
    {
        Put(_root.Issuer("first"), _root.Pem);
        _ca.Start();
        Put(_root.Issuer("second", permittedHost: "cluster.local"), _root.Pem);
        _ca.Keeper.Tick();

        Assert.Equal("CN=second", _ca.Leaf().Leaf.IssuerDN.ToString());
        Assert.Equal(X509ChainStatusFlags.NoError, _ca.Verify(_ca.Leaf()));
        Assert.Equal(RotationPhase.Stable, _ca.State.Phase);
        Assert.Null(_ca.Keeper.FileProblem);
    }

    [Fact]
    public void Given_BrokenLater_KeepsTheLastGoodAndSaysSo()
    {
        Put(_root.Issuer("first"), _root.Pem);
        _ca.Start();
        using var other = new GivenCa("another root", _ca.Time);
        Put((_root.Issuer("second").Certificate, other.KeyPem), _root.Pem);

        // Three files are not replaced at once: the first look may be in between.
        _ca.Keeper.Tick();
        Assert.Null(_ca.Keeper.FileProblem);
        _ca.Keeper.Tick();
        _ca.Keeper.Tick();

        Assert.Contains("is not the key of", _ca.Keeper.FileProblem, StringComparison.Ordinal);
        Assert.Equal("CN=first", _ca.Leaf().Leaf.IssuerDN.ToString());
        Assert.Single(_ca.Logs.GetSnapshot(), l => l.Level == LogLevel.Error);

        Put(_root.Issuer("third"), _root.Pem);
        _ca.Keeper.Tick();
        Assert.Null(_ca.Keeper.FileProblem);
        Assert.Equal("CN=third", _ca.Leaf().Leaf.IssuerDN.ToString());
    }

    [Fact]
    public void Given_UnderAnotherRoot_ComesIntoForceByARotation()
    {
        Put(_root.Issuer("first"), _root.Pem);
        _ca.Start().Leaf("away", TimeSpan.FromHours(1));
        using var other = new GivenCa("next corporate root", _ca.Time);
        Put(other.Issuer("second"), other.Pem);
        _ca.Keeper.Tick();

        // The old issuer goes on signing, although its files are gone, until whoever is away could have learnt of the new root.
        Assert.Equal(RotationPhase.Distributing, _ca.State.Phase);
        Assert.Equal("CN=first", _ca.Leaf("away", TimeSpan.FromHours(1)).Leaf.IssuerDN.ToString());
        _ca.Keeper.Tick();
        Assert.Equal(RotationPhase.Issuing, _ca.State.Phase);
        Assert.Equal("CN=second", _ca.Leaf("away", TimeSpan.FromHours(5)).Leaf.IssuerDN.ToString());
        Assert.Equal(2, _ca.Trust.Current.Roots.Count);
        _ca.Time.Advance(TimeSpan.FromHours(2));
        _ca.Keeper.Tick();
        _ca.Keeper.Tick();

        Assert.Equal(RotationPhase.Stable, _ca.State.Phase);
        Assert.Equal([other.Certificate.RawData], _ca.Trust.Current.Roots.Select(r => r.GetEncoded()));
    }

    [Fact]
    public void Given_ThirdRootDuringAChange_WaitsForItsTurn()
    {
        Put(_root.Issuer("first"), _root.Pem);
        _ca.Start().Leaf("away", TimeSpan.FromHours(1));
        using var second = new GivenCa("second root", _ca.Time);
        Put(second.Issuer("second"), second.Pem);
        _ca.Keeper.Tick();
        _ca.Leaf("away", TimeSpan.FromHours(1));
        _ca.Keeper.Tick();
        Assert.Equal(RotationPhase.Issuing, _ca.State.Phase);
        using var third = new GivenCa("third root", _ca.Time);
        Put(third.Issuer("third"), third.Pem);
        var before = _ca.State;
        _ca.Keeper.Tick();
        _ca.Keeper.Tick();
        Assert.Same(before, _ca.State);

        _ca.Time.Advance(TimeSpan.FromHours(2));
        for (var i = 0; i < 6; i++)
        {
            _ca.Keeper.Tick();
        }

        Assert.Equal((RotationPhase.Stable, "CN=third"), (_ca.State.Phase, _ca.Leaf().Leaf.IssuerDN.ToString()));
        Assert.Equal([third.Certificate.RawData], _ca.Trust.Current.Roots.Select(r => r.GetEncoded()));
    }

    [Fact]
    public void Given_UnderAnotherRootWhileStopped_KeepsTheOldOneTrusted()
    {
        Put(_root.Issuer("first"), _root.Pem);
        var old = _ca.Start().Leaf(life: TimeSpan.FromHours(1));
        _ca.Stop();
        using var other = new GivenCa("next corporate root", _ca.Time);
        Put(other.Issuer("second"), other.Pem);

        _ca.Start();

        Assert.Equal((RotationPhase.Issuing, "CN=second"), (_ca.State.Phase, _ca.Leaf().Leaf.IssuerDN.ToString()));
        Assert.Equal(X509ChainStatusFlags.NoError, _ca.Verify(old));
        Assert.Contains(_ca.Logs.GetSnapshot(), l => l.Level == LogLevel.Warning && l.Message.Contains("was replaced by", StringComparison.Ordinal));
    }

    [Fact]
    public void OwnRoot_GivenUpForAGivenIssuer_IsRotatedAway()
    {
        _ca.Options.Issuer = null;
        _ca.Start();
        var own = _ca.State.Signing.RootId;
        Put(_root.Issuer("given issuer"), _root.Pem);
        _ca.Options.Issuer = _ca.Given;

        _ca.Start();
        Assert.Equal((RotationPhase.Distributing, own), (_ca.State.Phase, _ca.State.Signing.RootId));
        _ca.Keeper.Tick();
        _ca.Keeper.Tick();
        _ca.Keeper.Tick();

        Assert.Equal((RotationPhase.Stable, "CN=given issuer"), (_ca.State.Phase, _ca.Leaf().Leaf.IssuerDN.ToString()));
    }

    [Fact]
    public void Anchors_MoreThanOne_AreAllTrusted()
    {
        using var other = new GivenCa("partner root", _ca.Time);
        Put(_root.Issuer("first"), _root.Pem + other.Pem);

        Assert.Equal(2, _ca.Start().Trust.Current.Roots.Count);
        Assert.Equal(2, Pems.Certificates(File.ReadAllText(Path.Combine(_ca.Options.DataFolder, "trust-bundle.pem"))).Count);
    }

    /// <summary>As Kubernetes does it: a folder of each generation, and one link that is moved.</summary>
    private void Put((string Certificate, string Key) issuer, string anchors)
    {
        var folder = Directory.CreateDirectory(Path.Combine(_ca.Given, $"..{++_generation}")).FullName;
        File.WriteAllText(Path.Combine(folder, "tls.crt"), issuer.Certificate);
        File.WriteAllText(Path.Combine(folder, "tls.key"), issuer.Key);
        File.WriteAllText(Path.Combine(folder, "ca.crt"), anchors);
        var link = Path.Combine(_ca.Given, "..data");
        if (Directory.Exists(link))
        {
            Directory.Delete(link);
        }

        Directory.CreateSymbolicLink(link, Path.GetFileName(folder));
        foreach (var name in new[] { "tls.crt", "tls.key", "ca.crt" }.Where(n => !File.Exists(Path.Combine(_ca.Given, n))))
        {
            File.CreateSymbolicLink(Path.Combine(_ca.Given, name), Path.Combine("..data", name));
        }
    }
}
