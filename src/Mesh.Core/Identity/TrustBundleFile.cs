using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mesh.Spiffe;

namespace Mesh.Identity;

/// <summary>Reads a PEM file of root certificates.</summary>
internal static class TrustBundleFile
{
    public static bool TryRead(string path, TrustDomain trustDomain, [NotNullWhen(true)] out TrustBundle? bundle, [NotNullWhen(false)] out string? problem)
    {
        bundle = null;
        var roots = new X509Certificate2Collection();
        try
        {
            roots.ImportFromPemFile(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException)
        {
            problem = $"The trust bundle '{path}' cannot be read: {e.Message} Give the path of a PEM file with the control plane's root certificate.";
            return false;
        }

        if (roots.Count == 0)
        {
            problem = $"The trust bundle '{path}' holds no certificate. Give the path of a PEM file with the control plane's root certificate.";
            return false;
        }

        bundle = new TrustBundle(trustDomain, [.. roots]);
        problem = null;
        return true;
    }
}
