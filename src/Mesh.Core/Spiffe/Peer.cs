using System.Security.Cryptography.X509Certificates;

namespace Mesh.Spiffe;

/// <summary>The verified other end of a connection: its chain was checked and its certificate holds exactly this identity.</summary>
internal sealed record Peer(SpiffeId Id, X509Certificate2 Certificate);
