using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Model;
using Mesh.Spiffe;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;
using Org.BouncyCastle.Security;
using BouncyCertificate = Org.BouncyCastle.X509.X509Certificate;

namespace Mesh.ControlPlane.Tests.CertificateAuthority;

/// <summary>The authority on a folder of its own and a clock that the test moves; it can be stopped and started again.</summary>
internal sealed class AuthorityFixture : IDisposable
{
    public static readonly SpiffeId Cart = SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/cart");
    private readonly string _folder = Directory.CreateTempSubdirectory("mesh-ca-").FullName;
    private readonly ILoggerFactory _loggers;
    private DataFolder? _data;

    public AuthorityFixture()
    {
        _loggers = LoggerFactory.Create(l => l.SetMinimumLevel(LogLevel.Debug).AddProvider(new FakeLoggerProvider(Logs)));
        Options.DataFolder = Path.Combine(_folder, "data");
    }

    public FakeTimeProvider Time { get; } = new(DateTimeOffset.UtcNow);

    public MeshControlPlaneOptions Options { get; } = new();

    public FakeLogCollector Logs { get; } = FakeLogCollector.Create(new FakeLogCollectorOptions());

    public FakeHolders Holders { get; } = new();

    public TimeSpan Settle { get; set; } = TimeSpan.Zero;

    public DataFolder Data => _data!;

    public TrustBundleStore Trust { get; private set; } = null!;

    public MeshAuthority Authority { get; private set; } = null!;

    public IssuanceLog Issued { get; private set; } = null!;

    public Issuer Issuer { get; private set; } = null!;

    public LeafPolicyStore LeafPolicy { get; private set; } = null!;

    public AuthorityKeeper Keeper { get; private set; } = null!;

    public CertificateMaker Maker => new(TrustDomain.Parse(Options.TrustDomain), Options.CaKey, Time, new SecureRandom());

    public TrustState State => Authority.State;

    /// <summary>A folder for files that an operator gives.</summary>
    public string Given => Directory.CreateDirectory(Path.Combine(_folder, "given")).FullName;

    /// <summary>Starts as the host does, again after a stop.</summary>
    public AuthorityFixture Start()
    {
        Stop();
        _data = new DataFolder(Options.DataFolder);
        Trust = new TrustBundleStore(_data, TrustDomain.Parse(Options.TrustDomain), Time);
        var files = AuthorityLoader.Files(Options, Time);
        var state = new AuthorityLoader(_data, Options, Maker, Time, _loggers.CreateLogger<AuthorityLoader>()).Load(files, out var anchors);
        Authority = new MeshAuthority(state, anchors, _data, Trust, Maker, Time, _loggers.CreateLogger<MeshAuthority>());
        Issued = new IssuanceLog(_data, Time, _loggers.CreateLogger<IssuanceLog>());
        Issuer = new Issuer(Authority, Issued, Time);
        LeafPolicy = new LeafPolicyStore(_data, Time, Options.LeafLife);
        Keeper = new AuthorityKeeper(Authority, new GivenFiles(files), Trust, Issued, Holders, LeafPolicy, Time, _loggers.CreateLogger<AuthorityKeeper>()) { Settle = Settle };
        return this;
    }

    public void Stop()
    {
        Keeper?.Dispose();
        _data?.Dispose();
        _data = null;
    }

    public IssuedLeaf Leaf(string node = "cart~1~shop", TimeSpan? life = null, SpiffeId? id = null)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return Issuer.IssueWorkload(id ?? Cart, PublicKeyFactory.CreateKey(key.ExportSubjectPublicKeyInfo()), life ?? Options.LeafLife, node, "test");
    }

    /// <summary>What a peer that trusts the given roots finds wrong with a leaf that came with its chain; empty: nothing.</summary>
    public X509ChainStatusFlags Verify(BouncyCertificate leaf, IEnumerable<BouncyCertificate> between, IEnumerable<BouncyCertificate> roots)
    {
        using var chain = new X509Chain
        {
            ChainPolicy =
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck, DisableCertificateDownloads = true,
                VerificationTime = Time.GetUtcNow().LocalDateTime,
            },
        };
        chain.ChainPolicy.ExtraStore.AddRange((X509Certificate2[])[.. between.Select(Load)]);
        chain.ChainPolicy.CustomTrustStore.AddRange((X509Certificate2[])[.. roots.Select(Load)]);
        using var loaded = Load(leaf);
        chain.Build(loaded);
        return chain.ChainStatus.Aggregate(X509ChainStatusFlags.NoError, (all, s) => all | s.Status);
    }

    public X509ChainStatusFlags Verify(IssuedLeaf issued, IEnumerable<BouncyCertificate>? roots = null) =>
        Verify(issued.Leaf, issued.Authority.Intermediates, roots ?? Trust.Current.Roots);

    public void Dispose()
    {
        Stop();
        _loggers.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    public static X509Certificate2 Load(BouncyCertificate certificate) => X509CertificateLoader.LoadCertificate(certificate.GetEncoded());
}

/// <summary>Says who is connected, as the test has it.</summary>
internal sealed class FakeHolders : ITrustHolders
{
    public List<TrustHolder> All { get; } = [];

    public IReadOnlyList<TrustHolder> Holders => [.. All];

    public void SubscribeHolders(Action changed)
    {
    }

    public void Hold(string node, string? version)
    {
        All.RemoveAll(h => h.Node == node);
        All.Add(new TrustHolder(AuthorityFixture.Cart, node, true, version));
    }
}

/// <summary>Authorities as an operator makes them elsewhere.</summary>
internal sealed class GivenCa : IDisposable
{
    private readonly AsymmetricAlgorithm _key;
    private readonly FakeTimeProvider _time;

    public GivenCa(string name, FakeTimeProvider time, string keyKind = "P-256", int? pathLength = 1, TimeSpan? life = null)
    {
        _time = time;
        _key = NewKey(keyKind);
        var request = Request($"CN={name}", _key);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, pathLength is not null, pathLength ?? 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, true));
        Certificate = request.CreateSelfSigned(time.GetUtcNow().AddHours(-1), time.GetUtcNow() + (life ?? TimeSpan.FromDays(365)));
    }

    public X509Certificate2 Certificate { get; }

    public string Pem => Certificate.ExportCertificatePem() + "\n";

    public string KeyPem => Export(_key);

    /// <summary>An issuer below it: certificate and key, PEM.</summary>
    public (string Certificate, string Key) Issuer(string name, string keyKind = "P-256", int pathLength = 0, string? permittedHost = null, TimeSpan? life = null, bool isCa = true)
    {
        using var key = NewKey(keyKind);
        var request = Request($"CN={name}", key);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(isCa, isCa, isCa ? pathLength : 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        if (permittedHost is not null)
        {
            var writer = new System.Formats.Asn1.AsnWriter(System.Formats.Asn1.AsnEncodingRules.DER);
            using (writer.PushSequence())
            using (writer.PushSequence(new System.Formats.Asn1.Asn1Tag(System.Formats.Asn1.TagClass.ContextSpecific, 0)))
            using (writer.PushSequence())
            {
                writer.WriteCharacterString(System.Formats.Asn1.UniversalTagNumber.IA5String, permittedHost, new System.Formats.Asn1.Asn1Tag(System.Formats.Asn1.TagClass.ContextSpecific, 6));
            }

            request.CertificateExtensions.Add(new X509Extension("2.5.29.30", writer.Encode(), critical: true));
        }

        var (from, to) = (_time.GetUtcNow().AddMinutes(-10), _time.GetUtcNow() + (life ?? TimeSpan.FromDays(90)));
        using var certificate = request.Create(Certificate.SubjectName, Generator(), from, to, RandomNumberGenerator.GetBytes(12));
        return (certificate.ExportCertificatePem() + "\n", Export(key));
    }

    public void Dispose()
    {
        _key.Dispose();
        Certificate.Dispose();
    }

    private static AsymmetricAlgorithm NewKey(string kind) => kind switch
    {
        "RSA" => RSA.Create(2048),
        "P-384" => ECDsa.Create(ECCurve.NamedCurves.nistP384),
        _ => ECDsa.Create(ECCurve.NamedCurves.nistP256),
    };

    private static CertificateRequest Request(string subject, AsymmetricAlgorithm key) => key is RSA rsa
        ? new CertificateRequest(subject, rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
        : new CertificateRequest(subject, (ECDsa)key, HashAlgorithmName.SHA256);

    private static string Export(AsymmetricAlgorithm key) => key.ExportPkcs8PrivateKeyPem() + "\n";

    private X509SignatureGenerator Generator() =>
        _key is RSA rsa ? X509SignatureGenerator.CreateForRSA(rsa, RSASignaturePadding.Pkcs1) : X509SignatureGenerator.CreateForECDsa((ECDsa)_key);
}
