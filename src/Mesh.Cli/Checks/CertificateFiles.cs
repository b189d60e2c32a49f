using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Mesh.Cli.Cluster;
using Mesh.ControlPlane.Install;

namespace Mesh.Cli.Checks;

/// <summary>Whether the roots and the issuer in the cluster are good, and for long enough.</summary>
internal static class CertificateFiles
{
    private const string Category = "certificates";
    private static readonly TimeSpan Early = TimeSpan.FromDays(60);

    public static IEnumerable<ClusterCheck> All { get; } =
    [
        new("MESH-CHK-050", Category, "the roots that workloads trust are valid for long enough", async (facts, cancellationToken) =>
            await BundleAsync(facts, cancellationToken) is not { } bundle
                ? Finding.Error($"{InstallManifest.Namespace} has no ConfigMap {InstalledKinds.TrustBundle}: the leader writes it when it starts", "see the control plane's log, and MESH-CHK-040")
                : Problem(bundle, await facts.NowAsync(cancellationToken)) is { } problem ? problem with { Fix = "mesh identity rotate --root, or put an issuer of a new root into the issuer's Secret" } : null),
        new("MESH-CHK-051", Category, "the issuer that was given is valid for long enough", async (facts, cancellationToken) =>
        {
            var name = (await facts.ValuesAsync(cancellationToken)).Text("identity.issuerSecret");
            if (await facts.GetAsync($"{ClusterFacts.System}/secrets/{name}", cancellationToken) is not { } secret)
            {
                return null; // The mesh has an own root, and renews its issuer.
            }

            string[] absent = [.. new[] { "tls.crt", "tls.key", "ca.crt" }.Where(k => secret.Text("data", k) is not { Length: > 0 })];
            return absent.Length > 0 ? Finding.Error($"Secret {name} has no {string.Join(", ", absent)}", "give it tls.crt, tls.key and ca.crt, as cert-manager writes them")
                : Problem(Decoded(secret.Text("data", "tls.crt")!), await facts.NowAsync(cancellationToken)) is { } problem ? problem with { Fix = $"put a new issuer into Secret {name}: it is read at once" }
                : null;
        }),
        new("MESH-CHK-052", Category, "every namespace has the same roots", async (facts, cancellationToken) =>
        {
            if (await BundleAsync(facts, cancellationToken) is not { } bundle)
            {
                return null; // Said above.
            }

            var there = (await facts.ListAsync("/api/v1/configmaps?fieldSelector=" + Uri.EscapeDataString($"metadata.name={InstalledKinds.TrustBundle}"), cancellationToken)).ToDictionary(c => c.Namespace() ?? string.Empty);
            var other = (await facts.ListAsync("/api/v1/namespaces", cancellationToken)).Where(n => n.Text("metadata", "deletionTimestamp") is null)
                .Select(n => n.Name()).Where(n => there.GetValueOrDefault(n).Text("data", "ca.crt") != bundle).ToList();
            return other.Count == 0 ? null : Finding.Warning($"{string.Join(", ", other.Take(5))}{(other.Count > 5 ? " …" : string.Empty)}: missing or different", "the leader writes them within seconds: see its log, and MESH-CHK-040");
        }),
    ];

    /// <summary>What is wrong with PEM certificates, the fix apart; null when they are good for long enough.</summary>
    public static Finding? Problem(string pem, DateTimeOffset now)
    {
        var certificates = new X509Certificate2Collection();
        try
        {
            certificates.ImportFromPem(pem);
        }
        catch (CryptographicException e)
        {
            return Finding.Error($"it can't be read: {e.Message}", string.Empty);
        }

        try
        {
            // Old roots stay beside new ones for a while: the best one counts.
            return certificates.Count == 0 ? Finding.Error("it holds no certificate", string.Empty) : certificates.Select(c => Problem(c, now)).MinBy(p => p?.Result switch { null => 0, "warning" => 1, _ => 2 });
        }
        finally
        {
            foreach (var certificate in certificates)
            {
                certificate.Dispose();
            }
        }
    }

    private static Finding? Problem(X509Certificate2 certificate, DateTimeOffset now)
    {
        var (start, end) = (new DateTimeOffset(certificate.NotBefore.ToUniversalTime()), new DateTimeOffset(certificate.NotAfter.ToUniversalTime()));
        // One of a short life by intent is late when a third of it is left.
        var early = (end - start) / 3 < Early ? (end - start) / 3 : Early;
        return now >= end ? Finding.Error(string.Create(CultureInfo.InvariantCulture, $"it is over since {end:u}"), string.Empty)
            : now < start ? Finding.Error(string.Create(CultureInfo.InvariantCulture, $"it begins at {start:u}"), string.Empty)
            : end - now < early ? Finding.Warning(string.Create(CultureInfo.InvariantCulture, $"it is valid to {end:u} only"), string.Empty)
            : null;
    }

    private static async Task<string?> BundleAsync(ClusterFacts facts, CancellationToken cancellationToken) =>
        (await facts.GetAsync($"{ClusterFacts.System}/configmaps/{InstalledKinds.TrustBundle}", cancellationToken)).Text("data", "ca.crt");

    private static string Decoded(string base64) => Encoding.UTF8.GetString(Convert.FromBase64String(base64));
}
