using System.Net.Security;
using System.Security.Cryptography.X509Certificates;

namespace Mesh.ControlPlane.CertificateAuthority.Attestation;

/// <summary>HTTP to those who vouch for workloads: no proxy, no redirect, no cookie, small answers, in time.</summary>
internal static class PrivateHttp
{
    public const int MaxAnswer = 1024 * 1024;

    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);

    /// <param name="authorityFile">Roots to trust in place of the machine's, PEM, read at every connection; null: the machine's.</param>
    public static HttpClient Create(string? authorityFile)
    {
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            ActivityHeadersPropagator = null,
            ConnectTimeout = Timeout,
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
        };
        if (authorityFile is not null)
        {
            handler.SslOptions.RemoteCertificateValidationCallback = (_, certificate, presented, errors) => IsTrusted(authorityFile, certificate, presented, errors);
        }

        return new HttpClient(handler) { Timeout = Timeout, MaxResponseContentBufferSize = MaxAnswer };
    }

    /// <summary>The name must hold in any case; the chain is built anew under the given roots.</summary>
    private static bool IsTrusted(string authorityFile, X509Certificate? certificate, X509Chain? presented, SslPolicyErrors errors)
    {
        if (certificate is not X509Certificate2 leaf || (errors & ~SslPolicyErrors.RemoteCertificateChainErrors) != 0)
        {
            return false;
        }

        var roots = new X509Certificate2Collection();
        roots.ImportFromPem(Pems.ReadText(authorityFile));
        using var chain = new X509Chain { ChainPolicy = { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck, DisableCertificateDownloads = true } };
        chain.ChainPolicy.CustomTrustStore.AddRange(roots);
        foreach (var sent in presented?.ChainPolicy.ExtraStore ?? [])
        {
            chain.ChainPolicy.ExtraStore.Add(sent);
        }

        return chain.Build(leaf);
    }
}
