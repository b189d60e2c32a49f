using System.Text;
using System.Text.Json.Nodes;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Cluster;

/// <summary>An operator's issuer in a Secret (<c>kubernetes.io/tls</c>, and <c>ca.crt</c> with the roots), as it is now.</summary>
internal static class IssuerSecret
{
    /// <param name="secrets">A list of the one Secret, watched.</param>
    public static IssuerFiles Files(WatchedObjects secrets, string ns, string name, TrustDomain trustDomain, TimeProvider time)
    {
        var origin = $"Secret {ns}/{name}";
        return new IssuerFiles($"{origin} (tls.crt)", $"{origin} (tls.key)", $"{origin} (ca.crt)", trustDomain, time)
        {
            Source = () => secrets.Items.GetValueOrDefault($"{ns}/{name}") is { } secret ? Texts(secret, origin) : null,
        };
    }

    private static GivenTexts Texts(JsonObject secret, string origin)
    {
        var content = SecretContent.Read(secret, origin);
        return new GivenTexts(Text("tls.crt"), Text("tls.key"), Text("ca.crt"));

        string Text(string key) => content.TryGetValue(key, out var bytes)
            ? Encoding.UTF8.GetString(bytes)
            : throw new InvalidDataException($"{origin} has no '{key}'. Give tls.crt (the issuer first), tls.key and ca.crt (the roots).");
    }
}
