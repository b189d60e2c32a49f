using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Grpc.Core;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Tests.Hosting;
using Mesh.Protos.Istio;
using Mesh.Spiffe;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.CertificateAuthority;

public sealed class CsrServiceTests
{
    private const string Cart = "spiffe://cluster.local/ns/shop/sa/cart";

    [Fact]
    public async Task CreateCertificate_WithJoinToken_IssuesExactlyTheAttestedIdentity()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var channel = controlPlane.TlsChannel();
        var csr = Csr.For(Cart);
        var response = await Csr.SendAsync(channel, csr.Pem, controlPlane.Token("shop", "cart"));

        Assert.Equal(3, response.CertChain.Count);
        using var leaf = X509Certificate2.CreateFromPem(response.CertChain[0]);
        using var issuer = X509Certificate2.CreateFromPem(response.CertChain[1]);
        using var root = X509Certificate2.CreateFromPem(response.CertChain[2]);
        Assert.Equal((issuer.Subject, root.Subject), (leaf.Issuer, issuer.Issuer));
        Assert.True(SpiffeCertificate.TryReadId(leaf, out var id, out _));
        Assert.Equal(Cart, id.ToString());
        Assert.Empty(leaf.Subject);
        Assert.True(leaf.Extensions.Single(e => e.Oid!.Value == "2.5.29.17").Critical);
        Assert.Equal(X509KeyUsageFlags.DigitalSignature, leaf.Extensions.OfType<X509KeyUsageExtension>().Single().KeyUsages);
        Assert.False(leaf.Extensions.OfType<X509BasicConstraintsExtension>().Single().CertificateAuthority);
        Assert.Equal(
            ["1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"],
            leaf.Extensions.OfType<X509EnhancedKeyUsageExtension>().Single().EnhancedKeyUsages.Cast<Oid>().Select(o => o.Value!));
        Assert.Equal(csr.Key.ExportSubjectPublicKeyInfo(), leaf.PublicKey.ExportSubjectPublicKeyInfo());
        Assert.Equal(16, leaf.SerialNumberBytes.Length);
        Assert.InRange((leaf.NotAfter - leaf.NotBefore).TotalMinutes, (24 * 60) + 0.9, (24 * 60) + 1.1);
        using var chain = new X509Chain { ChainPolicy = { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck } };
        chain.ChainPolicy.CustomTrustStore.Add(root);
        chain.ChainPolicy.ExtraStore.Add(issuer);
        Assert.True(chain.Build(leaf));
        Assert.Contains(Cart, await File.ReadAllTextAsync(Path.Combine(controlPlane.Data, "issued.jsonl"), TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData("cart~host-1~shop", true)]
    [InlineData("", false)]
    [InlineData("two\nlines", false)]
    [InlineData(null, false)]
    public async Task CreateCertificate_NodeId_IsRecordedWhenItIsOne(string? node, bool isTaken)
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var channel = controlPlane.TlsChannel();
        var request = new IstioCertificateRequest { Csr = Csr.For(Cart).Pem, Metadata = new() };
        if (node is not null)
        {
            request.Metadata.Fields["NODE_ID"] = Google.Protobuf.WellKnownTypes.Value.ForString(node);
        }

        await new IstioCertificateService.IstioCertificateServiceClient(channel).CreateCertificateAsync(
            request, new Metadata { { "authorization", $"Bearer {controlPlane.Token("shop", "cart")}" } }, cancellationToken: TestContext.Current.CancellationToken);

        var recorded = Assert.Single(controlPlane.Services.GetRequiredService<IssuanceLog>().Newest).Node;
        Assert.Equal(isTaken, recorded == node);
        Assert.Equal(!isTaken, recorded.Contains("127.0.0.1", StringComparison.Ordinal));
    }

    [Fact]
    public async Task CreateCertificate_TokenUsedTwice_IsUnauthenticated()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var channel = controlPlane.TlsChannel();
        var token = controlPlane.Token("shop", "cart");
        await Csr.SendAsync(channel, Csr.For(Cart).Pem, token);
        var refused = await Assert.ThrowsAsync<RpcException>(() => Csr.SendAsync(channel, Csr.For(Cart).Pem, token));
        Assert.Equal(StatusCode.Unauthenticated, refused.StatusCode);
        Assert.Contains("was used", refused.Status.Detail, StringComparison.Ordinal);
        Assert.DoesNotContain(controlPlane.Logs.GetSnapshot(), l => l.Message.Contains(token, StringComparison.Ordinal));
        Assert.DoesNotContain(token, await File.ReadAllTextAsync(Path.Combine(controlPlane.Data, "tokens.json"), TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task CreateCertificate_TokenUsedBeforeRestart_StaysUsedAndUnusedStaysGood()
    {
        var folder = Directory.CreateTempSubdirectory("mesh-cp-").FullName;
        string used, unused;
        await using (var first = await TestControlPlane.StartAsync(folder))
        {
            (used, unused) = (first.Token("shop", "cart"), first.Token("shop", "cart"));
            using var channel = first.TlsChannel();
            await Csr.SendAsync(channel, Csr.For(Cart).Pem, used);
        }

        await using (var second = await TestControlPlane.StartAsync(folder))
        {
            using var channel = second.TlsChannel();
            var refused = await Assert.ThrowsAsync<RpcException>(() => Csr.SendAsync(channel, Csr.For(Cart).Pem, used));
            Assert.Equal(StatusCode.Unauthenticated, refused.StatusCode);
            await Csr.SendAsync(channel, Csr.For(Cart).Pem, unused);
        }

        Directory.Delete(folder, recursive: true);
    }

    [Theory]
    [InlineData("no-such-token")]
    [InlineData("")]
    [InlineData(null)]
    public async Task CreateCertificate_WrongOrNoToken_IsUnauthenticated(string? token)
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var channel = controlPlane.TlsChannel();
        var refused = await Assert.ThrowsAsync<RpcException>(() => Csr.SendAsync(channel, Csr.For(Cart).Pem, token));
        Assert.Equal(StatusCode.Unauthenticated, refused.StatusCode);
    }

    [Fact]
    public async Task CreateCertificate_OtherNames_ArePermissionDeniedAndKeepTheToken()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var channel = controlPlane.TlsChannel();
        var token = controlPlane.Token("shop", "cart");
        foreach (var csr in new[]
        {
            Csr.For("spiffe://cluster.local/ns/shop/sa/payments"),
            Csr.For(Cart, n => n.AddDnsName("cart.shop")),
            Csr.For(Cart, n => n.AddUri(new Uri("spiffe://cluster.local/ns/shop/sa/other"))),
            Csr.For("spiffe://other.example/ns/shop/sa/cart"),
        })
        {
            var refused = await Assert.ThrowsAsync<RpcException>(() => Csr.SendAsync(channel, csr.Pem, token));
            Assert.Equal(StatusCode.PermissionDenied, refused.StatusCode);
            Assert.Contains(Cart, refused.Status.Detail, StringComparison.Ordinal);
        }

        await Csr.SendAsync(channel, Csr.For(Cart).Pem, token);
    }

    [Fact]
    public async Task CreateCertificate_NamesThatLookLikeTheIdentity_ArePermissionDenied()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var channel = controlPlane.TlsChannel();
        var token = controlPlane.Token("shop", "cart");
        const int Uri = 6, Dns = 2, Mail = 1;
        (int Tag, string Value)[][] names =
        [
            [],
            [(Uri, Cart + "\0.evil.example")],
            [(Uri, Cart), (Uri, Cart)],
            [(Uri, Cart), (Uri, "https://cart.shop")],
            [(Uri, Cart), (Dns, "cart")],
            [(Uri, Cart), (Mail, "cart@shop")],
            [(Dns, Cart)],
            [(Uri, "SPIFFE://cluster.local/ns/shop/sa/cart")],
            [(Uri, "spiffe://Cluster.Local/ns/shop/sa/cart")],
            [(Uri, "spiffe://cluster.local/ns/shop/sa/../sa/cart")],
            [(Uri, "spiffe://cluster.local/ns/shop/sa/c%61rt")],
            [(Uri, "spiffe://cluster.local:443/ns/shop/sa/cart")],
            [(Uri, Cart + "/")],
            [(Uri, Cart + "?x")],
            [(Uri, Cart + new string('a', 2049))],
        ];
        foreach (var wanted in names)
        {
            var refused = await Assert.ThrowsAsync<RpcException>(() => Csr.SendAsync(channel, Csr.Raw(wanted), token));
            Assert.Equal(StatusCode.PermissionDenied, refused.StatusCode);
        }

        await Csr.SendAsync(channel, Csr.Raw((Uri, Cart)), token);
    }

    [Fact]
    public async Task CreateCertificate_BadRequests_AreInvalidArgument()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var channel = controlPlane.TlsChannel();
        var token = controlPlane.Token("shop", "cart");
        using var weak = RSA.Create(1024);
        var forged = Csr.For(Cart).Pem.Split('\n');
        var der = Convert.FromBase64String(string.Concat(forged[1..^1]));
        der[^1] ^= 1;
        foreach (var pem in new[]
        {
            string.Empty,
            "nonsense",
            new string('x', 100_000),
            "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----",
            Csr.For(Cart, curve: ECCurve.NamedCurves.nistP521).Pem,
            new CertificateRequest("CN=x", weak, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1).CreateSigningRequestPem(),
            PemEncoding.WriteString("CERTIFICATE REQUEST", der),
        })
        {
            var refused = await Assert.ThrowsAsync<RpcException>(() => Csr.SendAsync(channel, pem, token));
            Assert.Equal(StatusCode.InvalidArgument, refused.StatusCode);
        }
    }

    [Fact]
    public async Task CreateCertificate_WithCurrentCertificate_RenewsSameIdentityOnly()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var certificate = await controlPlane.JoinAsync("shop", "cart");
        using var channel = controlPlane.TlsChannel(certificate);
        using var renewed = await Csr.CreateAsync(channel, Csr.For(Cart), null);
        Assert.NotEqual(certificate.SerialNumber, renewed.SerialNumber);
        var refused = await Assert.ThrowsAsync<RpcException>(() => Csr.SendAsync(channel, Csr.For("spiffe://cluster.local/ns/shop/sa/payments").Pem, null));
        Assert.Equal(StatusCode.PermissionDenied, refused.StatusCode);
    }

    [Fact]
    public async Task CreateCertificate_CertificateOfAnotherRoot_IsRefusedInTheHandshake()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        await using var other = await TestControlPlane.StartAsync();
        using var foreign = await other.JoinAsync("shop", "cart");
        using var channel = controlPlane.TlsChannel(foreign);
        var refused = await Assert.ThrowsAsync<RpcException>(() => Csr.SendAsync(channel, Csr.For(Cart).Pem, null));
        Assert.NotEqual(StatusCode.OK, refused.StatusCode);
        Assert.Contains(controlPlane.Logs.GetSnapshot(), l => l.Message.Contains("Refused a TLS client", StringComparison.Ordinal));
    }

    [Fact]
    public async Task CreateCertificate_ShorterLifeAskedOrSet_IsGiven()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var certificate = await controlPlane.JoinAsync("shop", "cart");
        using var channel = controlPlane.TlsChannel(certificate);
        var asked = await Csr.SendAsync(channel, Csr.For(Cart).Pem, null, seconds: 600);
        using var tenMinutes = X509Certificate2.CreateFromPem(asked.CertChain[0]);
        Assert.Equal(660, (tenMinutes.NotAfter - tenMinutes.NotBefore).TotalSeconds, 2.0);
        controlPlane.Services.GetRequiredService<LeafPolicyStore>().LeafLife = TimeSpan.FromSeconds(20);
        using var short20 = await Csr.CreateAsync(channel, Csr.For(Cart), null);
        Assert.Equal(80, (short20.NotAfter - short20.NotBefore).TotalSeconds, 2.0);
    }

    [Fact]
    public async Task CreateCertificate_TooOften_IsResourceExhausted()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var certificate = await controlPlane.JoinAsync("shop", "cart");
        using var channel = controlPlane.TlsChannel(certificate);
        var pem = Csr.For(Cart).Pem;
        var codes = new List<StatusCode>();
        for (var i = 0; i < IssuanceRate.PerMinute + 20; i++)
        {
            try
            {
                await Csr.SendAsync(channel, pem, null);
            }
            catch (RpcException e)
            {
                codes.Add(e.StatusCode);
            }
        }

        Assert.NotEmpty(codes);
        Assert.All(codes, c => Assert.Equal(StatusCode.ResourceExhausted, c));
    }

    [Fact]
    public void JoinTokens_AfterADay_Expire()
    {
        var folder = Directory.CreateTempSubdirectory("mesh-cp-");
        using (var data = new Mesh.ControlPlane.Model.DataFolder(folder.FullName))
        {
            var time = new FakeTimeProvider(DateTimeOffset.UtcNow);
            var tokens = new JoinTokens(data, TrustDomain.Parse("cluster.local"), time);
            var token = tokens.Create("shop", "cart").Token;
            Assert.NotNull(tokens.Find(token, out _));
            time.Advance(TimeSpan.FromHours(24));
            Assert.Null(tokens.Redeem(token, out var problem));
            Assert.Contains("expired", problem, StringComparison.Ordinal);
        }

        folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Root_AfterRestart_IsTheSameAndItsKeyIsPrivate()
    {
        var folder = Directory.CreateTempSubdirectory("mesh-cp-").FullName;
        string first;
        await using (var controlPlane = await TestControlPlane.StartAsync(folder))
        {
            first = await File.ReadAllTextAsync(controlPlane.Addresses.TrustBundle, TestContext.Current.CancellationToken);
            if (!OperatingSystem.IsWindows())
            {
                Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(controlPlane.Data, "authority.json")));
            }
        }

        await using (var controlPlane = await TestControlPlane.StartAsync(folder))
        {
            Assert.Equal(first, await File.ReadAllTextAsync(controlPlane.Addresses.TrustBundle, TestContext.Current.CancellationToken));
        }

        Directory.Delete(folder, recursive: true);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Root_GivenEcOrRsa_SignsLeaves(bool rsa)
    {
        var folder = Directory.CreateTempSubdirectory("mesh-root-").FullName;
        var (certificateFile, keyFile) = (Path.Combine(folder, "ca.crt"), Path.Combine(folder, "ca.key"));
        using var rsaKey = RSA.Create(2048);
        using var ecKey = ECDsa.Create(ECCurve.NamedCurves.nistP384);
        var request = rsa
            ? new CertificateRequest("CN=given", rsaKey, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
            : new CertificateRequest("CN=given", ecKey, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddDays(30));
        await File.WriteAllTextAsync(certificateFile, certificate.ExportCertificatePem(), TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(keyFile, rsa ? rsaKey.ExportPkcs8PrivateKeyPem() : ecKey.ExportECPrivateKeyPem(), TestContext.Current.CancellationToken);
        await using (var controlPlane = await TestControlPlane.StartAsync(configure: o => (o.RootCertificate, o.RootKey) = (certificateFile, keyFile)))
        {
            using var leaf = await controlPlane.JoinAsync("shop", "cart");
            Assert.Contains("CN=mesh issuer", leaf.Issuer, StringComparison.Ordinal);
            Assert.Equal("CN=given", controlPlane.Services.GetRequiredService<MeshAuthority>().State.Signing.Issuer.Certificate.IssuerDN.ToString());
        }

        await File.WriteAllTextAsync(keyFile, ECDsa.Create(ECCurve.NamedCurves.nistP256).ExportPkcs8PrivateKeyPem(), TestContext.Current.CancellationToken);
        var refused = await Assert.ThrowsAsync<Mesh.Hosting.MeshConfigurationException>(() => TestControlPlane.StartAsync(configure: o => (o.RootCertificate, o.RootKey) = (certificateFile, keyFile)));
        Assert.Contains("is not the key of", refused.Message, StringComparison.Ordinal);
        Directory.Delete(folder, recursive: true);
    }
}
