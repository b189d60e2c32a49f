using System.Net;
using System.Net.Security;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Injector;

namespace Mesh.ControlPlane.Cluster;

/// <summary>By what the API server knows this replica's webhooks: a certificate of our own issuer for the Service's names, made when a handshake needs one, each replica its own. Thread-safe.</summary>
/// <remarks>The configurations' caBundle holds every root in force, so a certificate under the earlier one stays good while a root changes.</remarks>
internal sealed class WebhookCertificate(Issuer issuer, string ns, string clusterDomain, TimeProvider time) : IWebhookCertificate
{
    private readonly ServingCertificate _certificate = new(issuer, IPAddress.Loopback, time, Names(ns, clusterDomain));

    /// <inheritdoc/>
    public SslStreamCertificateContext Current => _certificate.Current;

    public DateTimeOffset NotAfter => _certificate.NotAfter;

    public static IReadOnlyList<string> Names(string ns, string clusterDomain) =>
        [$"{ClusterNames.Service}.{ns}.svc", $"{ClusterNames.Service}.{ns}.svc.{clusterDomain}", $"{ClusterNames.Service}.{ns}"];
}
