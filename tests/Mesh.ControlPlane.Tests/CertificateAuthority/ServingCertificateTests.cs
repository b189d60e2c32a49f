using System.Net;
using Mesh.ControlPlane.CertificateAuthority;
using Xunit;

namespace Mesh.ControlPlane.Tests.CertificateAuthority;

public sealed class ServingCertificateTests : IDisposable
{
    private readonly AuthorityFixture _ca = new();

    public void Dispose() => _ca.Dispose();

    /// <summary>Who starts with the bundle of before can verify nothing else.</summary>
    [Fact]
    public void RootChanges_StaysUnderTheOldRootAsLongAsThatIsTrusted()
    {
        var serving = Start();
        var first = serving.Current;
        Assert.Same(first, serving.Current);
        var oldIssuer = first.TargetCertificate.Issuer;
        Assert.Null(_ca.Authority.Rotate("test"));
        _ca.Leaf("away", TimeSpan.FromHours(3));

        // Made anew before its root signs no more: it has most of its life then.
        _ca.Time.Advance(TimeSpan.FromHours(2));
        var last = serving.Current;
        Assert.NotSame(first, last);
        _ca.Keeper.Tick();
        Assert.Equal(RotationPhase.Issuing, _ca.State.Phase);
        Assert.Same(last, serving.Current);
        Assert.Equal(oldIssuer, last.TargetCertificate.Issuer);

        _ca.Time.Advance(TimeSpan.FromHours(2));
        _ca.Keeper.Tick();
        Assert.Equal(RotationPhase.Retiring, _ca.State.Phase);
        Assert.Equal(_ca.State.Signing.Issuer.Certificate.SubjectDN.GetEncoded(), serving.Current.TargetCertificate.IssuerName.RawData);
    }

    [Fact]
    public void RootChanges_NearItsEnd_IsUnderTheNewRoot()
    {
        var serving = Start();
        Assert.Null(_ca.Authority.Rotate("test"));
        _ca.Leaf("away", TimeSpan.FromHours(48));
        var last = serving.Current;
        _ca.Keeper.Tick();
        Assert.Equal(RotationPhase.Issuing, _ca.State.Phase);

        _ca.Time.Advance(TimeSpan.FromHours(22.5));
        Assert.Same(last, serving.Current);
        _ca.Time.Advance(TimeSpan.FromHours(1));

        Assert.NotSame(last, serving.Current);
        Assert.True(serving.NotAfter - _ca.Time.GetUtcNow() > TimeSpan.FromHours(23));
    }

    [Fact]
    public void ClockJumpsBack_IsMadeAnew()
    {
        var serving = Start();
        var first = serving.Current;
        _ca.Time.AdjustTime(_ca.Time.GetUtcNow().AddHours(-2));

        Assert.NotSame(first, serving.Current);
        Assert.True(serving.Current.TargetCertificate.NotBefore.ToUniversalTime() <= _ca.Time.GetUtcNow().UtcDateTime);
    }

    private ServingCertificate Start() => new(_ca.Start().Issuer, IPAddress.Loopback, _ca.Time);
}
