using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mesh.Spiffe;

namespace Mesh.Identity;

/// <summary>Takes certificate, key and roots from PEM files that somebody else keeps current, and looks every few seconds whether they changed.</summary>
/// <remarks>By content, so that a moved link, a rename and a rewrite are all seen. A pair that does not belong together is one being replaced, or broken: the last good stays in force. Thread-safe.</remarks>
internal sealed class FileSvidSource(string certificateFile, string keyFile, string bundleFile, TrustDomain trustDomain, TimeProvider time) : ISvidSource
{
    /// <summary>How often the files are looked at.</summary>
    public static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(5);

    private volatile string _seen = string.Empty;

    /// <inheritdoc/>
    public Task<IssuedSvid> FetchAsync(WorkloadIdentity? current, CancellationToken cancellationToken)
    {
        _seen = Fingerprint();
        try
        {
            return Task.FromResult(Read());
        }
        catch (SvidException)
        {
            // Between two reads the files may have been replaced: what belongs together now is read together.
            return Task.FromResult(Read());
        }
    }

    /// <inheritdoc/>
    public IDisposable Subscribe(Action onNews)
    {
        using (ExecutionContext.SuppressFlow())
        {
            return time.CreateTimer(
                _ =>
                {
                    var now = Fingerprint();
                    if (now != _seen)
                    {
                        _seen = now;
                        onNews();
                    }
                },
                null,
                LookEvery,
                LookEvery);
        }
    }

    private IssuedSvid Read()
    {
        if (!TrustBundleFile.TryRead(bundleFile, trustDomain, out var bundle, out var unreadable))
        {
            throw new SvidException(unreadable, needsPerson: true);
        }

        X509Certificate2 leaf;
        var chain = new X509Certificate2Collection();
        try
        {
            var pem = File.ReadAllText(certificateFile);
            leaf = X509Certificate2.CreateFromPem(pem, File.ReadAllText(keyFile));
            chain.ImportFromPem(pem);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SvidException($"The certificate cannot be read: {e.Message} Check Mesh:CertificateFile and Mesh:KeyFile.", needsPerson: true, e);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            throw new SvidException(
                $"The certificate '{certificateFile}' and the key '{keyFile}' are no pair: {e.Message} Mesh:CertificateFile is PEM, leaf first; Mesh:KeyFile the leaf's private key in PEM, not encrypted.", needsPerson: true, e);
        }

        return SvidReader.TryRead(leaf, chain.Skip(1), bundle, time.GetUtcNow(), out var svid, out var problem)
            ? new IssuedSvid(svid, bundle, OwnsTrust: true)
            : throw new SvidException($"The certificate '{certificateFile}' cannot be used: {problem}.", needsPerson: true);
    }

    /// <summary>Of the contents; what cannot be read counts as empty, so that its coming back is a change.</summary>
    private string Fingerprint()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var file in (ReadOnlySpan<string>)[certificateFile, keyFile, bundleFile])
        {
            try
            {
                hash.AppendData(SHA256.HashData(File.ReadAllBytes(file)));
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                hash.AppendData([0]);
            }
        }

        return Convert.ToHexString(hash.GetHashAndReset());
    }
}
