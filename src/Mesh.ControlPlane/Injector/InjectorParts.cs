namespace Mesh.ControlPlane.Injector;

/// <summary>What the webhooks rest on.</summary>
/// <param name="Values">Asked for every pod: an upgrade counts from the next one.</param>
internal sealed record InjectorParts(INamespaces Namespaces, Func<InjectionValues> Values, IEventSink Events, IWebhookCertificate Certificate);
