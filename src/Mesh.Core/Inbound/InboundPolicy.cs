using Mesh.Config;

namespace Mesh.Inbound;

/// <summary>What one bound address takes, compiled from its listener.</summary>
/// <param name="MeshTls">Mesh TLS ends here, also for peers that do not show the marker.</param>
/// <param name="Plaintext">Requests without mesh TLS are served; false is a strict address.</param>
internal sealed record InboundPolicy(bool MeshTls, bool Plaintext)
{
    public static InboundPolicy Permissive { get; } = new(MeshTls: true, Plaintext: true);

    public static InboundPolicy From(Listener listener) => new(
        listener.FilterChains.Any(c => c is { MeshTls: true, Transport: TransportProtocol.Any or TransportProtocol.Tls }),
        listener.FilterChains.Any(c => c is { MeshTls: false, Transport: TransportProtocol.Any or TransportProtocol.RawBuffer }));
}
