using Mesh.Identity;
using Mesh.Protos.Istio;
using Mesh.Spiffe;
using Mesh.Testing;
using Xunit;

namespace Mesh.Core.Tests.Identity;

public sealed class CaSvidSourceTests : IDisposable
{
    private static readonly SpiffeId Cart = SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/cart");
    private readonly TestCa _ca = new("cluster.local");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _ca.Dispose();

    [Fact]
    public async Task Fetch_FirstByTokenThenByCertificate_Works()
    {
        await using var authority = await FakeAuthority.StartAsync(_ca);
        var source = Source(authority, "good-token\n");

        var first = await source.FetchAsync(null, Token);
        var second = await source.FetchAsync(new WorkloadIdentity(first.Svid, first.Bundle, 1), Token);

        Assert.Equal(["token Bearer good-token", $"mtls {Cart}"], authority.Proofs);
        Assert.Equal(Cart, first.Svid.Id);
        Assert.True(first.Svid.Leaf.HasPrivateKey);
        Assert.Equal(_ca.Root.Thumbprint, Assert.Single(first.Bundle.Roots).Thumbprint);
        Assert.NotEqual(first.Svid.Leaf.GetPublicKeyString(), second.Svid.Leaf.GetPublicKeyString());
    }

    [Fact]
    public async Task Fetch_CertificateIsOver_UsesTheToken()
    {
        await using var authority = await FakeAuthority.StartAsync(_ca);

        await Source(authority).FetchAsync(_ca.Identity("shop", "cart", TimeSpan.FromSeconds(-1)), Token);

        Assert.Equal(["token Bearer good-token"], authority.Proofs);
    }

    [Fact]
    public async Task Fetch_TellsItsNodeId()
    {
        await using var authority = await FakeAuthority.StartAsync(_ca);

        await Source(authority).FetchAsync(null, Token);

        Assert.Equal("cart~1~shop", Assert.Single(authority.NodeIds));
    }

    [Fact]
    public async Task Fetch_HandshakeWithCertificateRefused_UsesTheToken()
    {
        await using var authority = await FakeAuthority.StartAsync(_ca);
        authority.RefuseCertificates = true;

        var issued = await Source(authority).FetchAsync(_ca.Identity("shop", "cart"), Token);

        Assert.Equal(Cart, issued.Svid.Id);
        Assert.Equal(["token Bearer good-token"], authority.Proofs);
    }

    [Fact]
    public async Task Fetch_HandshakeAndTokenRefused_SaysBoth()
    {
        await using var authority = await FakeAuthority.StartAsync(_ca);
        authority.RefuseCertificates = true;

        var e = await Assert.ThrowsAsync<SvidException>(() => Source(authority, "used").FetchAsync(_ca.Identity("shop", "cart"), Token));

        Assert.True(e.NeedsPerson);
        Assert.Contains("neither with itself nor with the token", e.Message, StringComparison.Ordinal);
        Assert.Contains("refused the token: unknown join token.", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Fetch_RenewalMeetsNobody_DoesNotBlameTheCertificate()
    {
        var source = new CaSvidSource(new Uri("https://127.0.0.1:1"), Cart, "cart~1~shop", new ControlPlaneDialer(() => _ca.Bundle), () => "t", TimeProvider.System);

        var e = await Assert.ThrowsAsync<SvidException>(() => source.FetchAsync(_ca.Identity("shop", "cart"), Token));

        Assert.False(e.NeedsPerson);
        Assert.DoesNotContain("token", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Fetch_RenewalMeetsServerOfAnotherRoot_IsNeverShownTheToken()
    {
        using var other = new TestCa("cluster.local");
        await using var authority = await FakeAuthority.StartAsync(other);

        var e = await Assert.ThrowsAsync<SvidException>(() => Source(authority).FetchAsync(_ca.Identity("shop", "cart"), Token));

        Assert.Contains("does not chain to a root in Mesh:TrustBundle", e.Message, StringComparison.Ordinal);
        Assert.Empty(authority.Proofs);
    }

    [Fact]
    public async Task Fetch_WrongToken_SaysSo()
    {
        await using var authority = await FakeAuthority.StartAsync(_ca);

        var e = await FailAsync(Source(authority, "wrong"));

        Assert.Contains("refused the token: unknown join token.", e.Message, StringComparison.Ordinal);
        Assert.Contains("Mesh:Token", e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("wrong", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Fetch_NoToken_SaysSo()
    {
        await using var authority = await FakeAuthority.StartAsync(_ca);

        Assert.Contains("No token", (await FailAsync(Source(authority, " "))).Message, StringComparison.Ordinal);
        Assert.Empty(authority.Proofs);
    }

    [Fact]
    public async Task Fetch_TokenFileGone_SaysSo()
    {
        await using var authority = await FakeAuthority.StartAsync(_ca);
        var source = new CaSvidSource(authority.Address, Cart, "cart~1~shop", new ControlPlaneDialer(() => _ca.Bundle), () => File.ReadAllText("/nowhere/token"), TimeProvider.System);

        Assert.Contains("Mesh:TokenFile", (await FailAsync(source)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Fetch_TokenThatNoHeaderCanHold_SaysSoWithoutIt()
    {
        await using var authority = await FakeAuthority.StartAsync(_ca);

        var e = await FailAsync(Source(authority, "tökén"));

        Assert.DoesNotContain("tökén", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Fetch_ServerOfAnotherRoot_IsNeverShownTheToken()
    {
        using var other = new TestCa("cluster.local");
        await using var authority = await FakeAuthority.StartAsync(other);

        var e = await FailAsync(Source(authority));

        Assert.Contains("does not chain to a root in Mesh:TrustBundle", e.Message, StringComparison.Ordinal);
        Assert.Empty(authority.Proofs);
    }

    [Fact]
    public async Task Fetch_ServerOfAnotherName_IsNeverShownTheToken()
    {
        await using var authority = await FakeAuthority.StartAsync(_ca, "localhost");

        var e = await FailAsync(Source(authority));

        Assert.Contains("is not for the name 'mesh-control-plane'", e.Message, StringComparison.Ordinal);
        Assert.Empty(authority.Proofs);
    }

    [Fact]
    public async Task Fetch_NobodyThere_NamesTheAddressAndNeedsNoPerson()
    {
        var source = new CaSvidSource(new Uri("https://127.0.0.1:1"), Cart, "cart~1~shop", new ControlPlaneDialer(() => _ca.Bundle), () => "t", TimeProvider.System);

        var e = await Assert.ThrowsAsync<SvidException>(() => source.FetchAsync(null, Token));

        Assert.False(e.NeedsPerson);
        Assert.Contains("https://127.0.0.1:1", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Fetch_AnswerForAnotherIdentity_IsRefused()
    {
        var other = SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/other");

        Assert.Contains($"certifies '{other}', asked was '{Cart}'", await WrongAnswerAsync(csr => [_ca.Sign(csr, null, other).ExportCertificatePem(), _ca.RootPem]), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Fetch_AnswerForAnotherKey_IsRefused() =>
        Assert.Contains("another key", await WrongAnswerAsync(_ => [_ca.Identity("shop", "cart").Svid.Leaf.ExportCertificatePem(), _ca.RootPem]), StringComparison.Ordinal);

    [Fact]
    public async Task Fetch_AnswerOfAnotherRoot_IsRefused()
    {
        using var other = new TestCa("cluster.local");

        Assert.Contains("does not chain", await WrongAnswerAsync(csr => [other.Sign(csr).ExportCertificatePem(), _ca.RootPem]), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Fetch_ExpiredAnswer_IsRefused() =>
        Assert.Contains("not valid now", await WrongAnswerAsync(csr => [_ca.Sign(csr, TimeSpan.FromMinutes(-1)).ExportCertificatePem(), _ca.RootPem]), StringComparison.Ordinal);

    [Fact]
    public async Task Fetch_AnswerDuringARootRotation_TakesBothRootsAndTheIssuer()
    {
        using var ca = new TestCa("cluster.local", withIssuer: true);
        await using var authority = await FakeAuthority.StartAsync(_ca);
        authority.Answer = request => new IstioCertificateResponse
        {
            // The order that our control plane keeps: leaf, issuer, other roots, the signing root.
            CertChain = { ca.Sign(request.Csr).ExportCertificatePem(), ca.Issuer!.ExportCertificatePem(), _ca.RootPem, ca.RootPem },
        };

        var issued = await Source(authority).FetchAsync(null, Token);

        Assert.Equal([_ca.Root.Thumbprint, ca.Root.Thumbprint], issued.Bundle.Roots.Select(r => r.Thumbprint));
        Assert.Equal(ca.Issuer!.Thumbprint, Assert.Single(issued.Svid.Intermediates).Thumbprint);
    }

    [Fact]
    public async Task Fetch_AnswerWithoutARoot_IsRefused()
    {
        using var ca = new TestCa("cluster.local", withIssuer: true);
        Assert.Contains("holds no root", await WrongAnswerAsync(csr => [ca.Sign(csr).ExportCertificatePem(), ca.Issuer!.ExportCertificatePem()]), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Fetch_Istiod_ExpectsItsNameAndTellsTheCluster()
    {
        await using var authority = await FakeAuthority.StartAsync(_ca, "istiod.istio-system.svc");
        var source = new CaSvidSource(
            authority.Address, Cart, "cart~1~shop", new ControlPlaneDialer(new ControlPlaneTrust(() => _ca.Bundle), "istiod.istio-system.svc"), () => "good-token", TimeProvider.System, "Kubernetes");

        var issued = await source.FetchAsync(null, Token);
        await source.FetchAsync(new WorkloadIdentity(issued.Svid, issued.Bundle, 1), Token);

        Assert.Equal(["Kubernetes", "Kubernetes"], authority.ClusterIds);
    }

    [Fact]
    public async Task Fetch_ClockBehindTheAnswer_IsTaken()
    {
        var behind = new JumpingTime(TimeProvider.System.GetUtcNow().AddHours(-1));
        await using var authority = await FakeAuthority.StartAsync(_ca);
        var source = new CaSvidSource(authority.Address, Cart, "cart~1~shop", new ControlPlaneDialer(() => _ca.Bundle), () => "good-token", behind);

        Assert.True((await source.FetchAsync(null, Token)).Svid.NotBefore > behind.GetUtcNow());
    }

    [Theory]
    [InlineData("")]
    [InlineData("no pem")]
    [InlineData("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")]
    public async Task Fetch_AnswerThatIsNoChain_IsRefused(string pem) =>
        Assert.Contains("cannot be used", await WrongAnswerAsync(_ => [pem]), StringComparison.Ordinal);

    private async Task<string> WrongAnswerAsync(Func<string, string[]> chain)
    {
        await using var authority = await FakeAuthority.StartAsync(_ca);
        authority.Answer = request =>
        {
            var response = new IstioCertificateResponse();
            response.CertChain.AddRange(chain(request.Csr));
            return response;
        };
        return (await FailAsync(Source(authority))).Message;
    }

    private CaSvidSource Source(FakeAuthority authority, string token = "good-token") =>
        new(authority.Address, Cart, "cart~1~shop", new ControlPlaneDialer(() => _ca.Bundle), () => token, TimeProvider.System);

    private static async Task<SvidException> FailAsync(CaSvidSource source)
    {
        var e = await Assert.ThrowsAsync<SvidException>(() => source.FetchAsync(null, Token));
        Assert.True(e.NeedsPerson);
        return e;
    }
}
