using System.Security.Cryptography.X509Certificates;
using Mesh.ControlPlane.CertificateAuthority;
using Org.BouncyCastle.Asn1.X509;
using Org.BouncyCastle.Security;
using Xunit;

namespace Mesh.ControlPlane.Tests.CertificateAuthority;

public sealed class AuthorityTests : IDisposable
{
    private readonly AuthorityFixture _ca = new();

    public void Dispose() => _ca.Dispose();

    [Theory]
    [InlineData("own-p256", "EC P-256")]
    [InlineData("own-p384", "EC P-384")]
    [InlineData("given-RSA", "EC P-256")]
    [InlineData("given-P-384", "EC P-256")]
    public void Hierarchy_OfEveryKind_HoldsForPeers(string kind, string issuerKey)
    {
        using var given = new GivenCa("given root", _ca.Time, kind.StartsWith("given-", StringComparison.Ordinal) ? kind[6..] : "P-256");
        if (kind.StartsWith("given-", StringComparison.Ordinal))
        {
            (_ca.Options.RootCertificate, _ca.Options.RootKey) = (Path.Combine(_ca.Given, "ca.crt"), Path.Combine(_ca.Given, "ca.key"));
            File.WriteAllText(_ca.Options.RootCertificate, given.Pem);
            File.WriteAllText(_ca.Options.RootKey, given.KeyPem);
        }

        _ca.Options.CaKey = kind == "own-p384" ? CaKeyKind.P384 : CaKeyKind.P256;
        var leaf = _ca.Start().Leaf();

        Assert.Equal(X509ChainStatusFlags.NoError, _ca.Verify(leaf));
        using var issuer = AuthorityFixture.Load(Assert.Single(leaf.Authority.Intermediates));
        Assert.Equal(issuerKey, Certificates.KeyKind(leaf.Authority.Issuer.Certificate.GetPublicKey()));
        var constraints = issuer.Extensions.OfType<X509BasicConstraintsExtension>().Single();
        Assert.Equal((true, true, true, 0), (constraints.Critical, constraints.CertificateAuthority, constraints.HasPathLengthConstraint, constraints.PathLengthConstraint));
        Assert.Equal(X509KeyUsageFlags.KeyCertSign, issuer.Extensions.OfType<X509KeyUsageExtension>().Single().KeyUsages);
        var names = issuer.Extensions.Single(e => e.Oid!.Value == "2.5.29.30");
        Assert.True(names.Critical);
        Assert.Contains("cluster.local", System.Text.Encoding.ASCII.GetString(names.RawData), StringComparison.Ordinal);
        Assert.InRange((issuer.NotAfter - issuer.NotBefore).TotalDays, 89.9, 90.1);
    }

    [Theory]
    [InlineData("spiffe://cluster.local/ns/shop/sa/cart", true)]
    [InlineData("spiffe://cluster.local.evil.example/ns/shop/sa/cart", false)]
    [InlineData("spiffe://other.example/ns/shop/sa/cart", false)]
    [InlineData("spiffe://sub.cluster.local/ns/shop/sa/cart", false)]
    public void Issuer_WhateverItSigns_CertifiesItsOwnTrustDomainOnly(string id, bool holds)
    {
        var signing = _ca.Start().State.Signing;
        var leaf = Leaves.Make(
            signing.Issuer, new GeneralNames(new GeneralName(GeneralName.UniformResourceIdentifier, id)), signing.Root.GetPublicKey(), _ca.Time.GetUtcNow(), TimeSpan.FromHours(1), new SecureRandom());

        var found = _ca.Verify(leaf, signing.Intermediates, [signing.Root]);

        Assert.Equal(!holds, found.HasFlag(X509ChainStatusFlags.HasNotPermittedNameConstraint) || found.HasFlag(X509ChainStatusFlags.InvalidNameConstraints));
        Assert.Equal(holds, found == X509ChainStatusFlags.NoError);
    }

    [Fact]
    public void Issuer_CannotMakeIssuers()
    {
        var signing = _ca.Start().State.Signing;
        var below = _ca.Maker.WithNewIssuer(AuthorityOrigin.GivenRoot, new SigningPair(signing.Issuer.Certificate, signing.Issuer.Key));
        Assert.True(below.RootSignsLeaves);

        // And what is forced past us is refused by whoever verifies.
        using var stolen = new GivenCa("x", _ca.Time);
        var evil = new SigningPair(ForceCa(signing), Org.BouncyCastle.Security.PrivateKeyFactory.CreateKey(Pkcs8(stolen.KeyPem)));
        var leaf = Leaves.Make(evil, new GeneralNames(new GeneralName(GeneralName.UniformResourceIdentifier, AuthorityFixture.Cart.ToString())), signing.Root.GetPublicKey(), _ca.Time.GetUtcNow(), TimeSpan.FromHours(1), new SecureRandom());
        Assert.NotEqual(X509ChainStatusFlags.NoError, _ca.Verify(leaf, [evil.Certificate, .. signing.Intermediates], [signing.Root]));

        Org.BouncyCastle.X509.X509Certificate ForceCa(SigningAuthority by)
        {
            var generator = new Org.BouncyCastle.X509.X509V3CertificateGenerator();
            generator.SetSerialNumber(Org.BouncyCastle.Math.BigInteger.ValueOf(7));
            generator.SetIssuerDN(by.Issuer.Certificate.SubjectDN);
            generator.SetSubjectDN(new X509Name("CN=below"));
            generator.SetNotBefore(_ca.Time.GetUtcNow().UtcDateTime.AddMinutes(-1));
            generator.SetNotAfter(_ca.Time.GetUtcNow().UtcDateTime.AddDays(1));
            generator.SetPublicKey(Org.BouncyCastle.Security.PublicKeyFactory.CreateKey(stolen.Certificate.PublicKey.ExportSubjectPublicKeyInfo()));
            generator.AddExtension(X509Extensions.BasicConstraints, true, new BasicConstraints(true));
            return generator.Generate(new Org.BouncyCastle.Crypto.Operators.Asn1SignatureFactory(by.Issuer.SignatureAlgorithm, by.Issuer.Key));
        }
    }

    [Fact]
    public void Issuer_AtHalfItsLife_IsRenewedWithoutRestart_AndEarlierLeavesHold()
    {
        var before = _ca.Start().Leaf(life: TimeSpan.FromDays(60));
        var first = _ca.State.Signing.Issuer.Certificate;
        _ca.Time.Advance(TimeSpan.FromDays(44));
        _ca.Keeper.Tick();
        Assert.Same(first, _ca.State.Signing.Issuer.Certificate);

        _ca.Time.Advance(TimeSpan.FromDays(2));
        _ca.Keeper.Tick();

        Assert.NotEqual(first.SubjectDN.ToString(), _ca.State.Signing.Issuer.Certificate.SubjectDN.ToString());
        Assert.Equal(RotationPhase.Stable, _ca.State.Phase);
        Assert.Equal(X509ChainStatusFlags.NoError, _ca.Verify(before));
        Assert.Equal(X509ChainStatusFlags.NoError, _ca.Verify(_ca.Leaf()));
        var renewed = _ca.State.Signing.Issuer.Certificate;
        Assert.Equal(renewed, _ca.Start().State.Signing.Issuer.Certificate);
    }

    [Fact]
    public void Issuer_OverWhileStopped_IsRenewedBeforeAnythingIsSigned()
    {
        var root = _ca.Start().State.Signing.RootId;
        _ca.Stop();
        _ca.Time.Advance(TimeSpan.FromDays(200));

        Assert.Equal(X509ChainStatusFlags.NoError, _ca.Verify(_ca.Start().Leaf()));
        Assert.Equal(root, _ca.State.Signing.RootId);
    }

    [Fact]
    public void TrustDomain_GivenAnother_GetsAnIssuerForIt()
    {
        var root = _ca.Start().State.Signing.RootId;
        _ca.Options.TrustDomain = "other.example";

        var leaf = _ca.Start().Leaf(id: Mesh.Spiffe.SpiffeId.Parse("spiffe://other.example/ns/shop/sa/cart"));

        Assert.Equal((X509ChainStatusFlags.NoError, root), (_ca.Verify(leaf), leaf.Authority.RootId));
    }

    [Fact]
    public void Leaf_NeverOutlivesItsIssuer()
    {
        var leaf = _ca.Start().Leaf(life: TimeSpan.FromDays(365));
        Assert.Equal(leaf.Authority.Issuer.Certificate.NotAfter, leaf.Leaf.NotAfter);
    }

    [Fact]
    public void EarlierLayout_WhoseRootSignedLeaves_GetsAnIssuerAndKeepsItsRoot()
    {
        using var earlier = new GivenCa("mesh root of before", _ca.Time);
        Directory.CreateDirectory(_ca.Options.DataFolder);
        File.WriteAllText(Path.Combine(_ca.Options.DataFolder, "root-cert.pem"), earlier.Pem);
        File.WriteAllText(Path.Combine(_ca.Options.DataFolder, "root-key.pem"), earlier.KeyPem);
        File.WriteAllText(Path.Combine(_ca.Options.DataFolder, "trust-bundle.pem"), earlier.Pem);

        var leaf = _ca.Start().Leaf();

        Assert.Equal(X509ChainStatusFlags.NoError, _ca.Verify(leaf));
        Assert.Equal(earlier.Certificate.RawData, _ca.State.Signing.Root.GetEncoded());
        Assert.Single(leaf.Authority.Intermediates);
        Assert.Equal(leaf.Authority.RootId, _ca.Start().State.Signing.RootId);
    }

    [Fact]
    public void GivenRoot_ThatMaySignNoIssuer_SignsLeavesItself()
    {
        using var given = new GivenCa("flat", _ca.Time, pathLength: 0);
        (_ca.Options.RootCertificate, _ca.Options.RootKey) = (Path.Combine(_ca.Given, "ca.crt"), Path.Combine(_ca.Given, "ca.key"));
        File.WriteAllText(_ca.Options.RootCertificate, given.Pem);
        File.WriteAllText(_ca.Options.RootKey, given.KeyPem);

        var leaf = _ca.Start().Leaf();

        Assert.Empty(leaf.Authority.Intermediates);
        Assert.Equal(X509ChainStatusFlags.NoError, _ca.Verify(leaf));
        Assert.Equal("SHA-256withECDSA", leaf.Leaf.SigAlgName);
    }

    [Fact]
    public void GivenRoot_ThatAnotherSigned_IsRefused()
    {
        using var root = new GivenCa("root", _ca.Time, pathLength: 2);
        var below = root.Issuer("below", pathLength: 1);
        (_ca.Options.RootCertificate, _ca.Options.RootKey) = (Path.Combine(_ca.Given, "ca.crt"), Path.Combine(_ca.Given, "ca.key"));
        File.WriteAllText(_ca.Options.RootCertificate, below.Certificate);
        File.WriteAllText(_ca.Options.RootKey, below.Key);

        var refused = Assert.Throws<InvalidDataException>(() => _ca.Start());

        Assert.Contains("signed by 'CN=root', not by itself", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void BrokenState_IsNeverReplaced()
    {
        _ca.Start().Stop();
        var file = Path.Combine(_ca.Options.DataFolder, "authority.json");
        File.WriteAllText(file, File.ReadAllText(file).Replace("BEGIN PRIVATE KEY", "BEGIN NOTHING", StringComparison.Ordinal));

        var refused = Assert.Throws<InvalidDataException>(() => _ca.Start());

        Assert.Contains("authority.json", refused.Message, StringComparison.Ordinal);
        Assert.Contains("restore it from a copy", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Keys_LieInOneFileThatItsOwnerReads_AndAreNotLogged()
    {
        _ca.Start();
        _ca.Leaf();
        Assert.Null(_ca.Authority.Rotate("test"));
        var secret = Path.Combine(_ca.Options.DataFolder, AuthorityStore.FileName);
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(secret));
        }

        Assert.Contains("PRIVATE KEY", File.ReadAllText(secret), StringComparison.Ordinal);
        _ca.Stop();
        foreach (var file in Directory.GetFiles(_ca.Options.DataFolder).Where(f => f != secret))
        {
            Assert.DoesNotContain("PRIVATE KEY", File.ReadAllText(file), StringComparison.Ordinal);
        }

        Assert.DoesNotContain(_ca.Logs.GetSnapshot(), l => $"{l.Message} {l.Exception}".Contains("PRIVATE KEY", StringComparison.Ordinal));
        Assert.DoesNotContain("PRIVATE", $"{_ca.State} {_ca.State.Signing} {_ca.State.Signing.Issuer}", StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public void IssuanceLog_AfterRestart_KnowsWhatIsNotOver_AndPassesBrokenLinesBy()
    {
        _ca.Start();
        var longer = _ca.Leaf("a", TimeSpan.FromHours(24));
        _ca.Leaf("b", TimeSpan.FromMinutes(10));
        _ca.Stop();
        File.AppendAllText(Path.Combine(_ca.Options.DataFolder, "issued.jsonl"), "{\"identity\":\"half a li");
        _ca.Time.Advance(TimeSpan.FromHours(1));

        var live = Assert.Single(_ca.Start().Issued.Live);

        Assert.Equal((Certificates.Serial(longer.Leaf), longer.Authority.RootId, "a"), (live.Serial, live.Root, live.Node));
        Assert.Equal("EC P-256", live.Key);
        Assert.Contains(_ca.Logs.GetSnapshot(), l => l.Message.StartsWith("1 lines of issued.jsonl", StringComparison.Ordinal));
    }

    private static byte[] Pkcs8(string pem)
    {
        var fields = System.Security.Cryptography.PemEncoding.Find(pem);
        return Convert.FromBase64String(pem[fields.Base64Data]);
    }
}
