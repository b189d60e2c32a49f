using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mesh.Spiffe;
using Org.BouncyCastle.Asn1.X509;
using Org.BouncyCastle.Security;
using X509Certificate = Org.BouncyCastle.X509.X509Certificate;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>What an operator's files say.</summary>
/// <param name="Anchors">Every root that the operator has workloads trust; the authority's own is one of them.</param>
internal sealed record GivenIssuer(SigningAuthority Authority, IReadOnlyList<X509Certificate> Anchors);

/// <summary>An issuer as it is given, PEM. No record: nothing that prints it may print the key.</summary>
/// <param name="anchors">The roots.</param>
internal sealed class GivenTexts(string certificate, string key, string anchors)
{
    public string Certificate => certificate;

    public string Key => key;

    public string Anchors => anchors;
}

/// <summary>An issuer that was signed elsewhere, in files that are replaced while we run (a mounted Kubernetes secret, for one). Owned by one caller at a time.</summary>
/// <param name="certificateFile">The issuer's certificate first, then what stands between it and the root.</param>
/// <param name="anchorFile">The roots.</param>
internal sealed class IssuerFiles(string certificateFile, string keyFile, string anchorFile, TrustDomain trustDomain, TimeProvider time)
{
    private static readonly SecureRandom Random = new();
    private byte[] _taken = [];
    private byte[] _seen = [];

    /// <summary>Where the three texts come from when not from files; it answers null when there are none.</summary>
    public Func<GivenTexts?>? Source { get; init; }

    /// <summary>Whether anything is given now.</summary>
    public bool IsThere => Source is null || Source() is not null;

    /// <summary>Why what is in the files now is not in force; null when it is.</summary>
    public string? Problem { get; private set; }

    /// <summary>A folder as a Kubernetes TLS secret is mounted.</summary>
    public static IssuerFiles InFolder(string folder, TrustDomain trustDomain, TimeProvider time) =>
        new(Path.Combine(folder, "tls.crt"), Path.Combine(folder, "tls.key"), Path.Combine(folder, "ca.crt"), trustDomain, time);

    /// <exception cref="InvalidDataException">The files can't be used; the message says which and why.</exception>
    public GivenIssuer Load()
    {
        var contents = Read();
        var issuer = TryParse(contents);
        _taken = _seen = Hash(contents);
        Problem = null;
        return issuer;
    }

    /// <summary>Looks whether the files have changed. What can't be used leaves the last good in force.</summary>
    /// <returns>Null when there is nothing new to take.</returns>
    public GivenIssuer? Poll()
    {
        if (!IsThere)
        {
            Problem = _taken.Length == 0 ? null : $"'{certificateFile}' is gone. The last good issuer signs on; give one again before it is over.";
            return null;
        }

        string problem;
        byte[] hash;
        try
        {
            var contents = Read();
            hash = Hash(contents);
            if (hash.AsSpan().SequenceEqual(_taken))
            {
                Problem = null;
                return null;
            }

            var issuer = TryParse(contents);
            _taken = _seen = hash;
            Problem = null;
            return issuer;
        }
        catch (InvalidDataException e)
        {
            problem = e.Message;
            hash = SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(problem));
        }

        // Three files are not replaced at once: only what is wrong twice in a row is wrong.
        if (hash.AsSpan().SequenceEqual(_seen))
        {
            Problem = problem;
        }

        _seen = hash;
        return null;
    }

    private GivenTexts Read() => Source is null
        ? new GivenTexts(Pems.ReadText(certificateFile), Pems.ReadText(keyFile), Pems.ReadText(anchorFile))
        : Source() ?? throw new InvalidDataException($"'{certificateFile}' is gone. Give an issuer again.");

    private static byte[] Hash(GivenTexts contents) =>
        SHA256.HashData(System.Text.Encoding.UTF8.GetBytes($"{contents.Certificate}\0{contents.Key}\0{contents.Anchors}"));

    private GivenIssuer TryParse(GivenTexts contents)
    {
        try
        {
            return Parse(contents);
        }
        catch (Exception e) when (e is not InvalidDataException)
        {
            // Two libraries read here, and both throw many types for broken certificates.
            throw new InvalidDataException($"The issuer in '{certificateFile}' can't be used with the roots in '{anchorFile}': {e.Message}", e);
        }
    }

    private GivenIssuer Parse(GivenTexts contents)
    {
        var now = time.GetUtcNow();
        var pair = SigningPair.Read(contents.Certificate, contents.Key, certificateFile, keyFile, now);
        var given = Pems.Certificates(contents.Anchors).ToLookup(Certificates.IsSelfSigned);
        var anchors = given[true].ToList();
        if (anchors.Count == 0)
        {
            throw new InvalidDataException($"'{anchorFile}' holds no self-signed certificate. Give the root that the issuer in '{certificateFile}' chains to, PEM.");
        }

        if (anchors.Find(a => a.GetBasicConstraints() < 0) is { } noAuthority)
        {
            throw new InvalidDataException($"The root '{noAuthority.SubjectDN}' in '{anchorFile}' lacks the basic constraint CA: every workload would refuse the roots. Give roots that have it, or leave it out.");
        }

        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var publicKey = PublicKeyFactory.CreateKey(key.ExportSubjectPublicKeyInfo());
        var between = Pems.Certificates(contents.Certificate).Skip(1).Concat(given[false]).ToList();
        // What our own leaves will look like: shows the signature, path lengths, constraints on names and validity all at once, as peers will see them.
        var chain = Chain(pair, new GeneralName(GeneralName.UniformResourceIdentifier, $"spiffe://{trustDomain}/ns/mesh/sa/probe"), publicKey, between, anchors, now);
        Chain(pair, new GeneralName(GeneralName.DnsName, ServingCertificate.Name), publicKey, between, anchors, now);
        return new GivenIssuer(new SigningAuthority(AuthorityOrigin.GivenIssuer, chain[^1], null, pair, [.. chain.Skip(1).SkipLast(1)]), anchors);
    }

    /// <summary>A leaf of this issuer, and all above it up to the root.</summary>
    private List<X509Certificate> Chain(
        SigningPair pair, GeneralName name, Org.BouncyCastle.Crypto.AsymmetricKeyParameter publicKey, IEnumerable<X509Certificate> between, IEnumerable<X509Certificate> anchors, DateTimeOffset now)
    {
        using var leaf = X509CertificateLoader.LoadCertificate(Leaves.Make(pair, new GeneralNames(name), publicKey, now, TimeSpan.FromMinutes(5), Random).GetEncoded());
        using var chain = new X509Chain
        {
            ChainPolicy =
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck, DisableCertificateDownloads = true, VerificationTime = now.LocalDateTime,
            },
        };
        chain.ChainPolicy.ExtraStore.AddRange((X509Certificate2[])[.. between.Prepend(pair.Certificate).Select(Load)]);
        chain.ChainPolicy.CustomTrustStore.AddRange((X509Certificate2[])[.. anchors.Select(Load)]);
        if (!chain.Build(leaf))
        {
            var why = string.Join("; ", chain.ChainStatus.Select(s => s.StatusInformation.Trim()).Distinct());
            throw new InvalidDataException(
                $"A certificate for '{name.Name}' that the issuer in '{certificateFile}' signs does not hold under the roots in '{anchorFile}': {why}. Give the issuer with all certificates up to its root, and that root; path lengths and name constraints must allow it.");
        }

        var parser = new Org.BouncyCastle.X509.X509CertificateParser();
        return [.. chain.ChainElements.Select(e => parser.ReadCertificate(e.Certificate.RawData))];
    }

    private static X509Certificate2 Load(X509Certificate certificate) => X509CertificateLoader.LoadCertificate(certificate.GetEncoded());
}
