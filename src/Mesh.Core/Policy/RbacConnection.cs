using System.Net;
using Mesh.Spiffe;
using Mesh.Traffic;

namespace Mesh.Policy;

/// <summary>What rules see of a connection: the same for all its requests. Immutable and thread-safe.</summary>
/// <param name="caller">Whom the handshake verified; null for a connection that is not mesh TLS.</param>
/// <param name="source">Where it comes from; null (a Unix socket) is in no range.</param>
/// <param name="destination">The address it came to.</param>
internal sealed class RbacConnection(RbacCaller? caller, IPAddress? source, IPEndPoint? destination)
{
    public RbacCaller? Caller => caller;

    public AddressBits Source { get; } = AddressBits.Of(source);

    public AddressBits Destination { get; } = AddressBits.Of(destination?.Address);

    /// <summary>0 where there is none.</summary>
    public int DestinationPort { get; } = destination?.Port ?? 0;
}

/// <summary>The names of a verified certificate. Immutable and thread-safe.</summary>
internal sealed class RbacCaller
{
    /// <param name="subject">The distinguished name (RFC 2253); empty without a certificate.</param>
    public RbacCaller(IReadOnlyList<string> uris, IReadOnlyList<string> dnsNames, string subject) =>
        Names = uris.Count > 0 ? [.. uris] : dnsNames.Count > 0 ? [.. dnsNames] : [subject];

    public RbacCaller(SpiffeId id) => Names = [id.ToString()];

    /// <summary>Any of them may match: the URI names, without any the DNS names, without any the subject (gRFC A41). At least one.</summary>
    public IReadOnlyList<string> Names { get; }
}
