using System.Net.Security;

namespace Mesh.ControlPlane.Injector;

/// <summary>By what the API server knows the webhooks. Asked at every handshake. Thread-safe.</summary>
internal interface IWebhookCertificate
{
    SslStreamCertificateContext Current { get; }
}
