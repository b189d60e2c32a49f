using System.Collections.Frozen;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Mesh.Identity;
using Mesh.Spiffe;
using Mesh.Testing;
using Xunit;

namespace Mesh.Core.Tests.Identity;

/// <summary>Real handshakes, both ends ours: who is refused, with which reason, and what a resumed session may not outlive.</summary>
public sealed class MeshTlsTests : IDisposable
{
    private static readonly SpiffeId Cart = SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/cart");
    private readonly TestCa _ca = new("cluster.local", withIssuer: true);

    public void Dispose() => _ca.Dispose();

    [Fact]
    public async Task Handshake_BothGood_TellsEachThePeer()
    {
        Peer? server = null, client = null;
        await using var pair = await TlsPair.ConnectAsync(
            MeshTls.ForClient(_ca.Identity("shop", "web"), Cart, http2: true, _ => { }, peer => server = peer),
            MeshTls.ForServer(_ca.Identity("shop", "cart"), _ => { }, peer => client = peer));

        Assert.False(pair.Failed, pair.ClientFailure?.ToString() ?? pair.ServerFailure?.ToString());
        Assert.Equal(SslProtocols.Tls13, pair.Client.SslProtocol);
        Assert.Equal(Cart, server!.Id);
        Assert.Equal("spiffe://cluster.local/ns/shop/sa/web", client!.Id!.ToString());
        Assert.Equal(_ca.Root.Thumbprint, client.Root);
        // Leaf and issuer; the root's serial says nothing.
        Assert.Equal(2, client.Serials.Count);
        Assert.Equal(TrustBundle.SerialOf(_ca.Issuer!), client.Serials[1]);
        Assert.InRange(client.NotAfter, TimeProvider.System.GetUtcNow(), TimeProvider.System.GetUtcNow().AddHours(1.1));
    }

    public static TheoryData<string, string> BadLeaves => new()
    {
        { "expired", PeerRefusals.Expired },
        { "not yet valid", PeerRefusals.NotYetValid },
        { "self-signed", PeerRefusals.SelfSigned },
        { "unknown authority", PeerRefusals.UnknownAuthority },
        { "unknown authority of the same name", PeerRefusals.UnknownAuthority },
        { "issuer left out", PeerRefusals.UnknownAuthority },
        { "other trust domain", PeerRefusals.TrustDomain },
        { "an authority", PeerRefusals.Authority },
        { "may sign certificates", PeerRefusals.Authority },
        { "no key usage", PeerRefusals.KeyUsage },
        { "no digitalSignature", PeerRefusals.KeyUsage },
        { "other purpose", PeerRefusals.ExtendedKeyUsage },
        { "for servers", PeerRefusals.ExtendedKeyUsage },
        { "for clients", PeerRefusals.ExtendedKeyUsage },
        { "no SPIFFE ID", PeerRefusals.MalformedId },
        { "revoked identity", PeerRefusals.RevokedId },
        { "revoked certificate", PeerRefusals.RevokedSerial },
        { "revoked issuer", PeerRefusals.RevokedSerial },
    };

    [Theory]
    [MemberData(nameof(BadLeaves))]
    public async Task Handshake_BadClient_IsRefusedForItsReason(string what, string reason)
    {
        if (what == "for clients")
        {
            // That is what it should be for.
            return;
        }

        var (client, bundle) = Bad(what);
        PeerRefusal? refusal = null;
        await using var pair = await TlsPair.ConnectAsync(Trusting(client), MeshTls.ForServer(_ca.Identity("shop", "cart").With(bundle), r => refusal = r, _ => Assert.Fail("believed")));

        Assert.True(pair.Failed);
        Assert.Equal(reason, refusal?.Reason);
        Assert.NotEqual(string.Empty, refusal!.Problem);
    }

    [Theory]
    [MemberData(nameof(BadLeaves))]
    public async Task Handshake_BadServer_IsRefusedForItsReason(string what, string reason)
    {
        if (what == "for servers")
        {
            return;
        }

        var (server, bundle) = Bad(what);
        PeerRefusal? refusal = null;
        await using var pair = await TlsPair.ConnectAsync(
            MeshTls.ForClient(_ca.Identity("shop", "web").With(bundle), Cart, http2: true, r => refusal = r, _ => Assert.Fail("believed")), Answering(server));

        Assert.True(pair.Failed);
        Assert.Equal(reason, refusal?.Reason);
    }

    [Fact]
    public async Task Handshake_NoClientCertificate_IsRefused()
    {
        PeerRefusal? refusal = null;
        var options = Trusting(_ca.Identity("shop", "web"));
        options.ClientCertificateContext = null;
        await using var pair = await TlsPair.ConnectAsync(options, MeshTls.ForServer(_ca.Identity("shop", "cart"), r => refusal = r));

        Assert.True(pair.Failed);
        Assert.Equal(PeerRefusals.NoCertificate, refusal?.Reason);
    }

    [Fact]
    public async Task Handshake_CertificatesOfTwoServicesSwapped_AreRefused()
    {
        foreach (var (asked, answers) in new[] { ("cart", "catalog"), ("catalog", "cart") })
        {
            PeerRefusal? refusal = null;
            await using var pair = await TlsPair.ConnectAsync(
                MeshTls.ForClient(_ca.Identity("shop", "web"), SpiffeId.ForServiceAccount(_ca.TrustDomain, "shop", asked), http2: true, r => refusal = r),
                MeshTls.ForServer(_ca.Identity("shop", answers), _ => { }));

            Assert.True(pair.Failed);
            Assert.Equal(PeerRefusals.UnexpectedId, refusal?.Reason);
            Assert.Contains($"sa/{answers}', expected 'spiffe://cluster.local/ns/shop/sa/{asked}'", refusal!.Problem, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Handshake_Tls12_IsRefused(bool oldClient)
    {
        var client = MeshTls.ForClient(_ca.Identity("shop", "web"), Cart, http2: true, _ => { });
        var server = MeshTls.ForServer(_ca.Identity("shop", "cart"), _ => { });
        // The point of the test is to offer what must be refused.
#pragma warning disable CA5398
        if (oldClient)
        {
            client.EnabledSslProtocols = SslProtocols.Tls12;
        }
        else
        {
            server.EnabledSslProtocols = SslProtocols.Tls12;
        }
#pragma warning restore CA5398
        await using var pair = await TlsPair.ConnectAsync(client, server);

        Assert.NotNull(pair.ClientFailure);
        Assert.NotNull(pair.ServerFailure);
    }

    [Fact]
    public async Task Resumption_WithinAGeneration_Works()
    {
        var (web, cart) = (_ca.Identity("shop", "web"), _ca.Identity("shop", "cart"));
        var first = await HandshakeAsync(web, cart);
        var second = await HandshakeAsync(web, cart);

        Assert.Null(first.Refusal);
        Assert.Null(second.Refusal);
        Assert.True(second.Bytes < first.Bytes / 2, $"{first.Bytes} bytes, then {second.Bytes}: not resumed");
    }

    [Theory]
    [InlineData("revoked identity", PeerRefusals.RevokedId)]
    [InlineData("revoked certificate", PeerRefusals.RevokedSerial)]
    [InlineData("root dropped", PeerRefusals.UnknownAuthority)]
    public async Task Resumption_AfterTheServersTrustNarrowed_IsRefused(string how, string reason)
    {
        var (web, cart) = (_ca.Identity("shop", "web"), _ca.Identity("shop", "cart"));
        await HandshakeAsync(web, cart);
        await HandshakeAsync(web, cart);
        using var other = new TestCa("cluster.local");
        var narrowed = how switch
        {
            "revoked identity" => _ca.Bundle with { RevokedIds = FrozenSet.Create(web.Svid.Id) },
            "revoked certificate" => _ca.Bundle with { RevokedSerials = FrozenSet.Create(TrustBundle.SerialOf(web.Svid.Leaf)) },
            _ => other.Bundle,
        };

        var after = await HandshakeAsync(web, cart.With(narrowed));

        Assert.Equal(reason, after.Refusal?.Reason);
    }

    [Fact]
    public async Task Resumption_AfterTheBundleWidened_Works()
    {
        var (web, cart) = (_ca.Identity("shop", "web"), _ca.Identity("shop", "cart"));
        await HandshakeAsync(web, cart);
        using var other = new TestCa("cluster.local");

        // The server's resumed session holds no issuer: it is known from before.
        Assert.Null((await HandshakeAsync(web, cart.With(_ca.Bundle with { Roots = [_ca.Root, other.Root] }))).Refusal);
    }

    [Fact]
    public async Task Resumption_PeerOfAnotherIssuer_Works()
    {
        using var second = _ca.SecondIssuer();
        var (web, cart) = (second.Identity("shop", "web"), _ca.Identity("shop", "cart"));
        var first = await HandshakeAsync(web, cart);
        var next = await HandshakeAsync(web, cart);

        Assert.Null(next.Refusal);
        Assert.True(next.Bytes < first.Bytes / 2, $"{first.Bytes} bytes, then {next.Bytes}: not resumed");
    }

    [Fact]
    public async Task Resumption_AfterAServersRotation_IsAFullHandshake()
    {
        var web = _ca.Identity("shop", "web");
        var first = await HandshakeAsync(web, _ca.Identity("shop", "cart"));

        var second = await HandshakeAsync(web, _ca.Identity("shop", "cart", generation: 2));

        Assert.Null(second.Refusal);
        Assert.True(second.Bytes > first.Bytes * 0.9, $"{first.Bytes} bytes, then {second.Bytes}: a session of the old certificate was taken up");
    }

    [Fact]
    public async Task Resumption_AfterTheClientsTrustNarrowed_IsRefused()
    {
        var (web, cart) = (_ca.Identity("shop", "web"), _ca.Identity("shop", "cart"));
        await HandshakeAsync(web, cart);
        PeerRefusal? refusal = null;

        await using var pair = await TlsPair.ConnectAsync(
            MeshTls.ForClient(web.With(_ca.Bundle with { RevokedIds = FrozenSet.Create(Cart) }), Cart, http2: true, r => refusal = r), MeshTls.ForServer(cart, _ => { }));

        Assert.Equal(PeerRefusals.RevokedId, refusal?.Reason);
    }

    private static async Task<(PeerRefusal? Refusal, long Bytes)> HandshakeAsync(WorkloadIdentity client, WorkloadIdentity server)
    {
        PeerRefusal? refusal = null;
        await using var pair = await TlsPair.ConnectAsync(MeshTls.ForClient(client, Cart, http2: true, r => refusal ??= r), MeshTls.ForServer(server, r => refusal ??= r));
        Assert.Equal(refusal is not null, pair.Failed);
        return (refusal, pair.HandshakeBytes);
    }

    /// <summary>An identity that is bad in this way, and the bundle that judges it.</summary>
    private (WorkloadIdentity Identity, TrustBundle Bundle) Bad(string what)
    {
        var good = _ca.Identity("shop", "cart");
        return what switch
        {
            "expired" => (_ca.Odd(new OddLeaf { Begins = TimeSpan.FromHours(-2), Ends = TimeSpan.FromMinutes(-1) }), _ca.Bundle),
            "not yet valid" => (_ca.Odd(new OddLeaf { Begins = TimeSpan.FromMinutes(5) }), _ca.Bundle),
            "self-signed" => (_ca.Odd(new OddLeaf { IsSelfSigned = true }), _ca.Bundle),
            "unknown authority" => (good, new TestCa("other.local").Bundle with { TrustDomain = _ca.TrustDomain }),
            "unknown authority of the same name" => (good, new TestCa("cluster.local").Bundle),
            "issuer left out" => (new WorkloadIdentity(_ca.SecondIssuer().Identity("shop", "cart").Svid with { Intermediates = [] }, _ca.Bundle, 1), _ca.Bundle),
            "other trust domain" => (_ca.Odd(new OddLeaf { Id = SpiffeId.Parse("spiffe://evil.local/ns/shop/sa/cart") }), _ca.Bundle),
            "an authority" => (_ca.Odd(new OddLeaf { IsAuthority = true }), _ca.Bundle),
            "may sign certificates" => (_ca.Odd(new OddLeaf { KeyUsage = X509KeyUsageFlags.DigitalSignature | X509KeyUsageFlags.CrlSign }), _ca.Bundle),
            "no key usage" => (_ca.Odd(new OddLeaf { KeyUsage = null }), _ca.Bundle),
            "no digitalSignature" => (_ca.Odd(new OddLeaf { KeyUsage = X509KeyUsageFlags.NonRepudiation }), _ca.Bundle),
            "other purpose" => (_ca.Odd(new OddLeaf { Purposes = ["1.3.6.1.5.5.7.3.4"] }), _ca.Bundle),
            "for servers" => (_ca.Odd(new OddLeaf { Purposes = ["1.3.6.1.5.5.7.3.1"] }), _ca.Bundle),
            "for clients" => (_ca.Odd(new OddLeaf { Purposes = ["1.3.6.1.5.5.7.3.2"] }), _ca.Bundle),
            "no SPIFFE ID" => (_ca.Odd(new OddLeaf { Names = new SubjectAlternativeNames().Dns("cart.shop.svc").Build() }), _ca.Bundle),
            "revoked identity" => (good, _ca.Bundle with { RevokedIds = FrozenSet.Create(Cart) }),
            "revoked certificate" => (good, _ca.Bundle with { RevokedSerials = FrozenSet.Create(TrustBundle.SerialOf(good.Svid.Leaf)) }),
            "revoked issuer" => (good, _ca.Bundle with { RevokedSerials = FrozenSet.Create(TrustBundle.SerialOf(_ca.Issuer!)) }),
            _ => throw new ArgumentOutOfRangeException(nameof(what), what, null),
        };
    }

    /// <summary>A client that believes everybody, so that the server's verdict is what counts.</summary>
    private static SslClientAuthenticationOptions Trusting(WorkloadIdentity identity) => new()
    {
        TargetHost = "mesh.invalid",
        ClientCertificateContext = identity.CertificateContext,
        ApplicationProtocols = [MeshTls.Marker, SslApplicationProtocol.Http2],
#pragma warning disable CA5359 // It is the other end that must refuse here.
        RemoteCertificateValidationCallback = (_, _, _, _) => true,
#pragma warning restore CA5359
    };

    private static SslServerAuthenticationOptions Answering(WorkloadIdentity identity) => new()
    {
        ServerCertificateContext = identity.CertificateContext,
        ApplicationProtocols = [SslApplicationProtocol.Http2],
    };
}
