using System.Security.Cryptography.X509Certificates;
using Mesh.Spiffe;

namespace Mesh.Server;

/// <summary>The verified caller of a request that came over mesh TLS. Absent on every other request.</summary>
/// <remarks>Read it by <c>context.Features.Get&lt;MeshPeerFeature&gt;()</c>. Immutable; the same for all requests of a connection.</remarks>
public sealed class MeshPeerFeature
{
    internal MeshPeerFeature(SpiffeId id, X509Certificate2 certificate)
    {
        Id = id;
        Certificate = certificate;
    }

    /// <summary>Who called.</summary>
    public SpiffeId Id { get; }

    /// <summary>The certificate that proved it. Owned by the connection: do not dispose it.</summary>
    public X509Certificate2 Certificate { get; }
}
